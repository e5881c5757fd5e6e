//! The files a machine is tuned by, below a root that tests and rehearsals replace.
//!
//! Nearly every switch of Linux is a file under /sys or /proc. The two kinds that are not are given names as if they
//! were, so that everything above this file only reads and writes text: `ethtool/CARD/FIELD` is a field of a network
//! card's settings, `mount/DIRECTORY/huge` the huge-page option of a file system in memory. Both are asked of the
//! system only when the root is `/`; below any other root they are plain files. Cold.
//!
//! [`Tree`] is the seam where tests put machines that refuse, answer in other words than they were told, or stop in
//! the middle.

use crate::os::ethtool;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a setting is read from and written to. Paths are relative to the root, without a leading slash.
pub trait Tree {
    /// The trimmed text of a file.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, path: &str) -> io::Result<String>;

    /// Writes into a file that exists.
    ///
    /// # Errors
    /// What the system says; nothing is made.
    fn write(&self, path: &str, text: &str) -> io::Result<()>;

    /// Makes a file with this text, and the directories it lies in, or replaces it.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, path: &str, text: &str) -> io::Result<()>;

    /// Makes a directory.
    ///
    /// # Errors
    /// What the system says.
    fn make_directory(&self, path: &str) -> io::Result<()>;

    /// Removes a file or a directory that holds nothing of others'.
    ///
    /// # Errors
    /// What the system says; `ResourceBusy` for a control group with a process in it.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Whether a file or directory is there.
    fn exists(&self, path: &str) -> bool;

    /// Names in a directory, numbers in their order; empty when there is none.
    fn names(&self, directory: &str) -> Vec<String>;
}

/// The tree of a machine, or a copy of parts of one.
#[derive(Clone, Debug)]
pub struct FileTree {
    root: PathBuf,
}

impl FileTree {
    /// Below `root`; `/` is this machine.
    pub fn new(root: &Path) -> FileTree {
        FileTree { root: root.to_owned() }
    }

    /// Whether it is the machine itself.
    pub fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

impl Tree for FileTree {
    fn read(&self, path: &str) -> io::Result<String> {
        match Special::of(path).filter(|_| self.is_live()) {
            Some(Special::Card { name, field }) => ethtool::read(name, field).map(|value| value.to_string()),
            Some(Special::Mount { directory }) => huge_option(&fs::read_to_string("/proc/mounts")?, directory),
            None => fs::read_to_string(self.at(path)).map(|text| text.trim().to_owned()),
        }
    }

    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        match Special::of(path).filter(|_| self.is_live()) {
            Some(Special::Card { name, field }) => {
                let value = text.parse().map_err(|_| io::Error::new(ErrorKind::InvalidInput, "not a number"))?;
                ethtool::write(name, field, value)
            }
            Some(Special::Mount { directory }) => remount(directory, text),
            None => {
                let text = if self.is_live() { text.to_owned() } else { as_the_kernel_would(&self.read(path)?, text) };
                let mut file = OpenOptions::new().write(true).truncate(true).open(self.at(path))?;
                // One call: the kernel takes each write as a whole value.
                file.write_all(format!("{text}\n").as_bytes())
            }
        }
    }

    fn create(&self, path: &str, text: &str) -> io::Result<()> {
        let path = self.at(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, format!("{}\n", text.trim_end()))
    }

    fn make_directory(&self, path: &str) -> io::Result<()> {
        fs::create_dir(self.at(path))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let at = self.at(path);
        match (at.is_dir(), self.is_live()) {
            // The files of a control group go with it; those of a copy have to be removed.
            (true, true) => fs::remove_dir(at),
            (true, false) => fs::remove_dir_all(at),
            (false, _) => fs::remove_file(at),
        }
    }

    fn exists(&self, path: &str) -> bool {
        if Special::of(path).is_some() && self.is_live() { self.read(path).is_ok() } else { self.at(path).exists() }
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(directory)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable_by_key(|name| (number_at_end(name), name.clone()));
        names
    }
}

/// What a file of a copy holds after a write, where the kernel does not simply keep the text: of several words it marks
/// the chosen one, and to a list it adds or takes off what is signed.
fn as_the_kernel_would(held: &str, text: &str) -> String {
    let words = || held.split_whitespace().map(|word| word.trim_matches(['[', ']']));
    match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(name), _) => words().chain([name]).collect::<Vec<_>>().join(" "),
        (_, Some(name)) if words().any(|word| word == name) => {
            words().filter(|word| *word != name).collect::<Vec<_>>().join(" ")
        }
        _ if held.contains('[') && words().any(|word| word == text) => words()
            .map(|word| if word == text { format!("[{word}]") } else { word.to_owned() })
            .collect::<Vec<_>>()
            .join(" "),
        _ => text.to_owned(),
    }
}

/// For sorting `cpu2` before `cpu10`.
fn number_at_end(name: &str) -> u64 {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    name[name.len() - digits..].parse().unwrap_or(0)
}

/// A setting that is no file.
enum Special<'p> {
    Card { name: &'p str, field: &'p str },
    Mount { directory: &'p str },
}

impl Special<'_> {
    fn of(path: &str) -> Option<Special<'_>> {
        if let Some(card) = path.strip_prefix("ethtool/") {
            return card.split_once('/').map(|(name, field)| Special::Card { name, field });
        }
        let directory = path.strip_prefix("mount")?.strip_suffix("/huge")?;
        Some(Special::Mount { directory })
    }
}

/// The option as `/proc/mounts` tells it; not told means `never`. The last mount of a directory is the one in force.
fn huge_option(mounts: &str, directory: &str) -> io::Result<String> {
    let in_force = mounts.lines().rev().map(|line| line.split(' ').collect::<Vec<_>>());
    let found = in_force.filter(|words| words.len() > 3).find(|words| words[1] == directory);
    let words = found.ok_or_else(|| io::Error::new(ErrorKind::NotFound, "nothing is mounted there"))?;
    if words[2] != "tmpfs" {
        return Err(io::Error::new(ErrorKind::Unsupported, format!("it is {}, not tmpfs", words[2])));
    }
    let option = words[3].split(',').find_map(|option| option.strip_prefix("huge="));
    Ok(option.unwrap_or("never").to_owned())
}

/// By the system's own command, which keeps all other options of the mount.
fn remount(directory: &str, huge: &str) -> io::Result<()> {
    let options = format!("remount,huge={huge}");
    let done = Command::new("mount").args(["-o", &options, directory]).output()?;
    if done.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("mount -o {options} {directory}: {}", String::from_utf8_lossy(&done.stderr).trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_huge_option_is_that_of_the_last_mount() {
        let mounts =
            "tmpfs /dev/shm tmpfs rw,huge=always 0 0\ntmpfs /dev/shm tmpfs rw,size=1k 0 0\n/dev/a / ext4 rw 0 0\n";
        assert_eq!(huge_option(mounts, "/dev/shm").unwrap(), "never");
        assert_eq!(huge_option(&mounts[..mounts.find('\n').unwrap()], "/dev/shm").unwrap(), "always");
        assert_eq!(huge_option(mounts, "/").unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(huge_option(mounts, "/none").unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn below_another_root_everything_is_a_file() {
        let root = tempfile::tempdir().unwrap();
        let tree = FileTree::new(root.path());
        assert!(!tree.exists("ethtool/eth0/rx-usecs"));
        assert!(tree.write("ethtool/eth0/rx-usecs", "0").is_err(), "writing makes no file");
        tree.create("ethtool/eth0/rx-usecs", "50").unwrap();
        tree.write("ethtool/eth0/rx-usecs", "0").unwrap();
        assert_eq!(tree.read("ethtool/eth0/rx-usecs").unwrap(), "0");
        tree.make_directory("ethtool/eth1").unwrap();
        assert_eq!(tree.names("ethtool"), ["eth0", "eth1"]);
        tree.remove("ethtool/eth0").unwrap();
        assert_eq!(tree.names("ethtool"), ["eth1"]);
    }

    #[test]
    fn a_copy_keeps_what_the_kernel_would() {
        assert_eq!(as_the_kernel_would("[always] madvise never", "never"), "always madvise [never]");
        assert_eq!(as_the_kernel_would("cpu memory", "+cpuset"), "cpu memory cpuset");
        assert_eq!(as_the_kernel_would("cpu memory cpuset", "-cpuset"), "cpu memory");
        assert_eq!(as_the_kernel_would("950000", "-1"), "-1");
    }

    #[test]
    fn names_come_in_the_order_of_their_numbers() {
        let root = tempfile::tempdir().unwrap();
        let tree = FileTree::new(root.path());
        for name in ["cpu10", "cpu2", "online"] {
            tree.create(name, "").unwrap();
        }
        assert_eq!(tree.names(""), ["online", "cpu2", "cpu10"]);
    }
}
