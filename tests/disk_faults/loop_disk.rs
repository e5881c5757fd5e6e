//! A disk of its own for a test: ext4 on a loop device over a sparse file on a tmpfs, all of it in a mount namespace that
//! nobody else sees and that takes everything along when the test's process ends, however it ends.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Set in the process that has a namespace of its own.
const INSIDE: &str = "PITLANE_TEST_NAMESPACE";
/// `_IOR('X', 125, __u32)`: the file system stops at once.
const EXT4_IOC_SHUTDOWN: libc::c_ulong = 0x8004_587D;
/// Without writing its log: what was not synced is gone, as with the power.
const WITHOUT_LOG: u32 = 2;
/// How long the kernel may take to let a loop device go.
const RELEASED_MAX: Duration = Duration::from_secs(20);

/// Whether this process may mount: it is the one inside. Outside, the test is run again inside; where that is not
/// allowed, a line says so.
pub fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = |program: &Path| {
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private"]).arg(program);
        command
    };
    let root = TempDir::with_prefix_in("disk-fault-", env!("CARGO_TARGET_TMPDIR")).unwrap();
    let may_mount = "mount -t tmpfs -o size=1m none \"$0\" && losetup -f && command -v mkfs.ext4";
    let probe = unshare(Path::new("sh")).args(["-c", may_mount]).arg(root.path()).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!("not checked: {test}, because it takes root, unshare, loop devices and mkfs.ext4");
        return false;
    }
    let mut again = unshare(&std::env::current_exe().unwrap());
    again.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(INSIDE, root.path());
    let output = again.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    println!("{said}");
    nothing_is_left(root.path());
    false
}

/// No mount and no loop device of ours is there any more.
fn nothing_is_left(root: &Path) {
    let root = root.to_str().unwrap();
    assert!(!std::fs::read_to_string("/proc/self/mounts").unwrap().contains(root), "a mount came out of its namespace");
    let began = Instant::now();
    while String::from_utf8_lossy(&Command::new("losetup").arg("-a").output().unwrap().stdout).contains(root) {
        assert!(began.elapsed() < RELEASED_MAX, "a loop device is left");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn run(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output().unwrap();
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The disk.
pub struct LoopDisk {
    backing: PathBuf,
    mounted: PathBuf,
}

impl LoopDisk {
    /// A file system of so many MiB over a tmpfs of so many.
    pub fn new(mebibytes: u32, backing_mebibytes: u32) -> LoopDisk {
        let root = PathBuf::from(std::env::var_os(INSIDE).expect("only inside"));
        let (backing, mounted) = (root.join("backing"), root.join("disk"));
        std::fs::create_dir_all(&backing).unwrap();
        std::fs::create_dir_all(&mounted).unwrap();
        run("mount", &["-t", "tmpfs", "-o", &format!("size={backing_mebibytes}m"), "none", backing.to_str().unwrap()]);
        let disk = LoopDisk { backing, mounted };
        File::create(disk.image()).unwrap().set_len(u64::from(mebibytes) << 20).unwrap();
        // All of it made now: nothing is written later that no test asked for.
        run(
            "mkfs.ext4",
            &["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", disk.image().to_str().unwrap()],
        );
        disk.mount();
        disk
    }

    fn image(&self) -> PathBuf {
        self.backing.join("image")
    }

    fn mount(&self) {
        run("mount", &["-o", "loop", self.image().to_str().unwrap(), self.mounted.to_str().unwrap()]);
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mounted
    }

    /// The power is cut: nothing reaches the disk from now on, and what was not synced is gone.
    pub fn cut_power(&self) {
        let directory = File::open(&self.mounted).unwrap();
        // SAFETY: the descriptor lives through the call, and the argument is a `u32` that the kernel only reads. Every
        // test here would notice a call that does nothing.
        let answer = unsafe { libc::ioctl(directory.as_raw_fd(), EXT4_IOC_SHUTDOWN, &WITHOUT_LOG) };
        assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
    }

    /// The power is back: unmounted and mounted again, so that only what is on the disk is seen.
    pub fn restore_power(&self) {
        run("umount", &[self.mounted.to_str().unwrap()]);
        self.mount();
    }

    /// Gives the file beneath more room.
    pub fn heal(&self, backing_mebibytes: u32) {
        let size = format!("remount,size={backing_mebibytes}m");
        run("mount", &["-o", &size, self.backing.to_str().unwrap()]);
    }

    /// Fills the disk with a file; removing that makes room again.
    pub fn fill(&self) -> PathBuf {
        let path = self.mounted.join("ballast");
        let mut file = File::create(&path).unwrap();
        for bytes in [64 << 10, 4 << 10, 1 << 10] {
            while file.write_all(&vec![1; bytes]).is_ok() {}
        }
        path
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // Lazily, because a test that failed may hold files; the namespace ends with the process in any case.
        for mounted in [&self.mounted, &self.backing] {
            let _ = Command::new("umount").arg("-l").arg(mounted).output();
        }
    }
}
