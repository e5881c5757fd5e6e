//! Tables of numbers in mapped memory: rows and columns with names, written while they are read.
//!
//! What counters are for the process as a whole a table is for many of a kind: each login, each ticker, each link between
//! two stages has a row. The file says itself what its rows and columns are called, so that `pitlane top`, the metrics
//! and a monitoring agent read it without knowing the program. A row's columns come in groups, each with one writer and
//! on cache lines of its own; who reads never holds up who writes, and sees whole numbers that are not one instant.
//!
//! Hot: [`Row::set`] and [`Row::add`], one plain store. Making a table and reading one are cold.
//!
//! Layout (little-endian): a header of 64 bytes (magic 8, version 4, rows 4, columns 4, bytes of a row 4), then for each
//! column a line with the length of its name, the name, and from byte 60 on where its numbers lie in a row; then the rows:
//! a line with length and name, and the groups, each on lines of its own.

use crate::os::mapped::Mapped;
use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const MAGIC: u64 = u64::from_le_bytes(*b"PITTABLE");
const VERSION: u32 = 1;
const LINE_BYTES: usize = 64;
const VERSION_AT: usize = 8;
const ROWS_AT: usize = 12;
const COLUMNS_AT: usize = 16;
const ROW_BYTES_AT: usize = 20;
/// Where in a column's line its place in a row stands.
const PLACE_AT: usize = 60;
/// Longest name: what lies between its length and a column's place.
const NAME_BYTES_MAX: usize = PLACE_AT - 1;
/// Most rows and columns a reader believes in; a file that claims more is not ours.
const ROWS_MAX: usize = 1 << 17;
const COLUMNS_MAX: usize = 1 << 10;
const WORDS_A_LINE: usize = LINE_BYTES / 8;

/// A table, as its process holds it.
#[derive(Debug)]
pub struct Table {
    memory: Arc<Mapped>,
    rows: usize,
    shape: Shape,
}

/// One row's group of columns. Not `Clone` and not `Sync`: it has one writer.
#[derive(Debug)]
pub struct Row {
    memory: Arc<Mapped>,
    at: usize,
    columns: usize,
    one_writer: PhantomData<Cell<()>>,
}

/// Where things lie.
#[derive(Clone, Debug)]
struct Shape {
    columns: usize,
    /// First byte in a row, and columns, of each group.
    groups: Vec<(usize, usize)>,
    row_bytes: usize,
}

impl Shape {
    fn of(groups: &[&[&str]]) -> Shape {
        let (mut at, mut places) = (LINE_BYTES, Vec::with_capacity(groups.len()));
        for group in groups {
            places.push((at, group.len()));
            at += group.len().div_ceil(WORDS_A_LINE) * LINE_BYTES;
        }
        Shape { columns: groups.iter().map(|group| group.len()).sum(), groups: places, row_bytes: at }
    }

    fn row_at(&self, row: usize) -> usize {
        LINE_BYTES * (1 + self.columns) + row * self.row_bytes
    }
}

impl Table {
    /// A table in the file at `path`, in place of one left by an earlier process: a row for each of `rows`, with the
    /// columns of all `groups`, all 0.
    /// # Errors
    /// `WouldBlock` when a living process has it, or what the system says.
    pub fn create(path: &Path, rows: &[String], groups: &[&[&str]]) -> io::Result<Table> {
        let shape = Shape::of(groups);
        Table::on(Mapped::replace(path, shape.row_at(rows.len()))?, rows, groups, shape)
    }

    /// The same in memory of this process alone.
    /// # Errors
    /// What the system says.
    pub fn anonymous(rows: &[String], groups: &[&[&str]]) -> io::Result<Table> {
        let shape = Shape::of(groups);
        Table::on(Mapped::anonymous(shape.row_at(rows.len()))?, rows, groups, shape)
    }

    fn on(memory: Mapped, rows: &[String], groups: &[&[&str]], shape: Shape) -> io::Result<Table> {
        assert!(rows.len() <= ROWS_MAX && shape.columns <= COLUMNS_MAX, "not a sensible table");
        memory.touch()?;
        let word = |at, value: usize| memory.write(at, &(value as u32).to_le_bytes());
        word(VERSION_AT, VERSION as usize);
        word(ROWS_AT, rows.len());
        word(COLUMNS_AT, shape.columns);
        word(ROW_BYTES_AT, shape.row_bytes);
        let mut line = LINE_BYTES;
        for (group, &(first, _)) in groups.iter().zip(&shape.groups) {
            for (index, column) in group.iter().enumerate() {
                write_name(&memory, line, column);
                word(line + PLACE_AT, first + index * 8);
                line += LINE_BYTES;
            }
        }
        rows.iter().enumerate().for_each(|(row, name)| write_name(&memory, shape.row_at(row), name));
        // The magic makes the file one of ours, so it goes last. Pairs with the load in `read`.
        memory.atomic_u64(0).store(MAGIC, Ordering::Release);
        Ok(Table { memory: Arc::new(memory), rows: rows.len(), shape })
    }

    /// The writer's end of one group of columns in every row, in their order. Once for each group: two writers of one
    /// number would lose what they add.
    /// # Panics
    /// There is no such group: both are fixed by the program.
    pub fn group(&self, group: usize) -> Vec<Row> {
        let (first, columns) = self.shape.groups[group];
        let row = |row| Row {
            memory: Arc::clone(&self.memory),
            at: self.shape.row_at(row) + first,
            columns,
            one_writer: PhantomData,
        };
        (0..self.rows).map(row).collect()
    }

    /// All of it now.
    pub fn view(&self) -> TableView {
        view(&self.memory).expect("a table of our own is well-formed")
    }

    /// The table in the file at `path`, of a living or a dead process.
    /// # Errors
    /// What the system says, or `InvalidData` when the file holds no table.
    pub fn read(path: &Path) -> io::Result<TableView> {
        let memory = Mapped::open(path, false)?;
        view(&memory).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a file with a table"))
    }
}

/// Names are what the configuration calls things; too long ones are cut, at a whole letter.
fn write_name(memory: &Mapped, at: usize, name: &str) {
    let end = (0..=name.len().min(NAME_BYTES_MAX)).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
    memory.write(at, &[end as u8]);
    memory.write(at + 1, &name.as_bytes()[..end]);
}

impl Row {
    /// Sets one of the group's columns.
    #[inline]
    pub fn set(&self, column: usize, value: u64) {
        assert!(column < self.columns, "the group has {} columns", self.columns);
        // Readers only need whole numbers.
        self.memory.atomic_u64(self.at + column * 8).store(value, Ordering::Relaxed);
    }

    /// Counts `more` in one of the group's columns.
    #[inline]
    pub fn add(&self, column: usize, more: u64) {
        assert!(column < self.columns, "the group has {} columns", self.columns);
        let value = self.memory.atomic_u64(self.at + column * 8);
        // One writer, so that load and store need not be one locked step.
        value.store(value.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }
}

/// A table as it was read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TableView {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Each row's name and its numbers.
    pub rows: Vec<(String, Vec<u64>)>,
}

impl TableView {
    /// Where the column of this name stands.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}

fn view(memory: &Mapped) -> Option<TableView> {
    if memory.len() < LINE_BYTES || memory.atomic_u64(0).load(Ordering::Acquire) != MAGIC {
        return None;
    }
    let word = |at| memory.atomic_u32(at).load(Ordering::Relaxed) as usize;
    let (rows, columns, row_bytes) = (word(ROWS_AT), word(COLUMNS_AT), word(ROW_BYTES_AT));
    let is_sensible = word(VERSION_AT) == VERSION as usize && rows <= ROWS_MAX && columns <= COLUMNS_MAX;
    // Cannot overflow: 2^17 rows of at most 2^32 bytes.
    let bytes = LINE_BYTES * (1 + columns) + rows * row_bytes;
    if !is_sensible || !row_bytes.is_multiple_of(LINE_BYTES) || row_bytes < LINE_BYTES || memory.len() < bytes {
        return None;
    }
    let name = |at: usize| {
        let mut line = [0; LINE_BYTES];
        memory.read(at, &mut line);
        let name = line.get(1..1 + usize::from(line[0]))?;
        Some(String::from_utf8_lossy(name).into_owned())
    };
    let lines = (0..columns).map(|column| LINE_BYTES * (1 + column));
    let names = lines.clone().map(name).collect::<Option<Vec<_>>>()?;
    let places: Vec<usize> = lines.map(|line| word(line + PLACE_AT)).collect();
    if places.iter().any(|place| !place.is_multiple_of(8) || *place > row_bytes - 8) {
        return None;
    }
    let row = |row: usize| {
        let at = LINE_BYTES * (1 + columns) + row * row_bytes;
        let value = |place: &usize| memory.atomic_u64(at + place).load(Ordering::Relaxed);
        Some((name(at)?, places.iter().map(value).collect()))
    };
    Some(TableView { columns: names, rows: (0..rows).map(row).collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// Nine columns, so that a group needs a second line; another group with one.
    const GROUPS: [&[&str]; 2] = [&["a", "b", "c", "d", "e", "f", "g", "h", "i"], &["open"]];

    #[test]
    fn another_mapping_reads_what_two_writers_store_in_the_groups_of_a_row() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table");
        let table = Table::create(&path, &names(&["USER01 maker", "USER02 taker"]), &GROUPS).unwrap();
        let (first, second) = (table.group(0), table.group(1));
        first[0].set(8, 7);
        first[1].add(0, 2);
        first[1].add(0, 3);
        second[1].set(0, 11);
        let view = Table::read(&path).unwrap();
        assert_eq!(view, table.view());
        assert_eq!((view.column("i"), view.column("open"), view.column("none")), (Some(8), Some(9), None));
        let expected = [
            ("USER01 maker".to_owned(), vec![0, 0, 0, 0, 0, 0, 0, 0, 7, 0]),
            ("USER02 taker".to_owned(), vec![5, 0, 0, 0, 0, 0, 0, 0, 0, 11]),
        ];
        assert_eq!(view.rows, expected);
        drop((table, first, second));
        assert_eq!(Table::read(&path).unwrap().rows, expected, "a dead process leaves its numbers");
    }

    #[test]
    fn groups_of_a_row_and_rows_share_no_line() {
        let table = Table::anonymous(&names(&["x", "y"]), &GROUPS).unwrap();
        let mut lines: Vec<usize> = [0, 1].iter().flat_map(|&group| table.group(group)).map(|row| row.at).collect();
        lines.sort_unstable();
        assert!(lines.iter().all(|at| at.is_multiple_of(LINE_BYTES)), "{lines:?}");
        assert!(lines.windows(2).all(|pair| pair[1] - pair[0] >= LINE_BYTES), "{lines:?}");
    }

    #[test]
    fn a_name_too_long_is_cut_at_a_whole_letter() {
        let table = Table::anonymous(&["ö".repeat(40)], &[&["a"]]).unwrap();
        assert_eq!(table.view().rows[0].0, "ö".repeat(29));
    }

    #[test]
    fn files_that_hold_no_table_are_refused_and_harmed_ones_crash_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table");
        drop(Table::create(&path, &names(&["x", "y"]), &GROUPS).unwrap());
        let good = std::fs::read(&path).unwrap();
        for cut in 0..good.len() {
            std::fs::write(&path, &good[..cut]).unwrap();
            assert!(Table::read(&path).is_err(), "cut at {cut}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0xFF;
            std::fs::write(&path, &bad).unwrap();
            let _ = Table::read(&path);
        }
        std::fs::write(&path, "a counters file, perhaps".repeat(10)).unwrap();
        assert_eq!(Table::read(&path).unwrap_err().to_string(), "not a file with a table");
    }
}
