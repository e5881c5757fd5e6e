//! How long the links between stages are, as the one who empties a link finds it.
//!
//! A length by itself says little: most of the time it is 0 or 1, and who looks once a second from outside sees nothing
//! of the burst between two looks. So whoever takes from a link looks at it in one turn of some dozens, thousands of times a
//! second, and counts how much it found, where there was something, in a row of powers of two; the difference of two
//! looks at the row is the distribution of what waited in between. A full link shows as many looks at its capacity.
//!
//! The turn's other work pays a counter and a comparison. Looking in every turn was tried: it showed the shortest burst
//! and cost an order through shared memory 50 ns of 980 (`--bench whole_path -- --only shared --against`).

use crate::runtime::table::{Row, Table, TableView};
use std::io;
use std::path::Path;

/// Lengths counted apart: 1, 2-3, 4-7, ... and at the end 2^19 and more.
pub const BUCKETS: usize = 20;
/// Columns: the capacity, then looks by the length found, each named by the least length it stands for.
const COLUMNS: [&str; 1 + BUCKETS] = [
    "capacity", "1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1024", "2048", "4096", "8192", "16384",
    "32768", "65536", "131072", "262144", "524288",
];

/// Counts the lengths of one link.
#[derive(Debug)]
pub struct Queue(Option<Box<Row>>);

impl Queue {
    /// Of a link that nobody watches.
    pub const fn unwatched() -> Queue {
        Queue(None)
    }

    /// A look found so many waiting.
    pub fn note(&self, length: usize) {
        if length != 0
            && let Some(row) = &self.0
        {
            row.add(1 + bucket(length), 1);
        }
    }
}

#[inline]
const fn bucket(length: usize) -> usize {
    let power = (length | 1).ilog2() as usize;
    if power < BUCKETS { power } else { BUCKETS - 1 }
}

/// The links of an exchange.
pub struct Queues {
    rows: Vec<Option<Row>>,
    names: Vec<String>,
}

impl Queues {
    /// Rows for links of these names in the file at `path`.
    /// # Errors
    /// As [`Table::create`].
    pub fn create(path: &Path, names: Vec<String>) -> io::Result<Queues> {
        let table = Table::create(path, &names, &[&COLUMNS])?;
        Ok(Queues { rows: table.group(0).into_iter().map(Some).collect(), names })
    }

    /// The row of the link `name`, which holds at most `capacity`. Once for each.
    /// # Panics
    /// There is no such row, or it was taken: both are fixed by the program.
    pub fn take(&mut self, name: &str, capacity: usize) -> Queue {
        let at = self.names.iter().position(|known| known == name);
        let row = at.and_then(|at| self.rows[at].take()).expect("each link has one row");
        row.set(0, capacity as u64);
        Queue(Some(Box::new(row)))
    }
}

/// What waited in one link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueLengths {
    /// From and to.
    pub name: String,
    /// Most it holds.
    pub capacity: u64,
    /// Looks that found something, by the power of two of how much.
    looks: [u64; BUCKETS],
}

impl QueueLengths {
    /// All links of the file at `path`.
    /// # Errors
    /// What the system says, or `InvalidData` when the file holds something else.
    pub fn read(path: &Path) -> io::Result<Vec<QueueLengths>> {
        let view = Table::read(path)?;
        QueueLengths::of(&view).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not the lengths of links"))
    }

    fn of(view: &TableView) -> Option<Vec<QueueLengths>> {
        if view.columns != COLUMNS {
            return None;
        }
        let of = |(name, values): &(String, Vec<u64>)| {
            let (&capacity, looks) = values.split_first()?;
            Some(QueueLengths { name: name.clone(), capacity, looks: looks.try_into().ok()? })
        };
        view.rows.iter().map(of).collect()
    }

    /// What was counted since an earlier look at the same link. A count that fell is taken as new.
    pub fn since(&self, earlier: &QueueLengths) -> QueueLengths {
        let mut looks = self.looks;
        for (now, before) in looks.iter_mut().zip(earlier.looks) {
            *now = now.checked_sub(before).unwrap_or(*now);
        }
        QueueLengths { looks, ..self.clone() }
    }

    /// Looks that found something.
    pub fn count(&self) -> u64 {
        self.looks.iter().sum()
    }

    /// The length that `part` of 10,000 of those looks did not exceed, as the highest of its power of two and at most the
    /// capacity; 0 without any.
    pub fn at(&self, part: u64) -> u64 {
        let wanted = (u128::from(self.count()) * u128::from(part)).div_ceil(10_000).max(1);
        let mut seen = 0;
        let reached = self.looks.iter().position(|&looks| {
            seen += u128::from(looks);
            seen >= wanted
        });
        reached.map_or(0, |power| ((2u64 << power) - 1).min(self.capacity.max(1)))
    }

    /// All lengths added up, each as the highest of its power of two.
    pub fn sum(&self) -> u128 {
        self.looks.iter().enumerate().map(|(power, &looks)| u128::from(looks) * u128::from((2u64 << power) - 1)).sum()
    }

    /// Looks that found at most so much, for each power of two: `(highest length, looks)`, rising.
    pub fn cumulated(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.looks.iter().enumerate().scan(0, |sum, (power, looks)| {
            *sum += looks;
            Some(((2u64 << power) - 1, *sum))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_by_the_least_length_they_stand_for() {
        for (power, name) in COLUMNS[1..].iter().enumerate() {
            let least: usize = name.parse().unwrap();
            assert_eq!((bucket(least), bucket(2 * least - 1)), (power, power));
        }
        assert_eq!(bucket(usize::MAX), BUCKETS - 1);
    }

    #[test]
    fn two_looks_give_what_waited_in_between() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queues");
        let mut queues = Queues::create(&path, vec!["a to b".into(), "b to c".into()]).unwrap();
        let (ab, bc) = (queues.take("a to b", 1_000), queues.take("b to c", 64));
        (0..98).for_each(|_| ab.note(1));
        bc.note(64);
        let before = QueueLengths::read(&path).unwrap();
        assert_eq!((before[0].name.as_str(), before[0].capacity, before[0].count()), ("a to b", 1_000, 98));
        assert_eq!((before[1].at(10_000), before[1].count()), (64, 1), "never above the capacity");
        ab.note(0);
        [1, 1, 5, 700].into_iter().for_each(|length| ab.note(length));
        let now = QueueLengths::read(&path).unwrap();
        let between = now[0].since(&before[0]);
        assert_eq!([5_000, 7_500, 10_000].map(|part| between.at(part)), [1, 7, 1_000]);
        assert_eq!((between.count(), now[1].since(&before[1]).count(), now[1].since(&before[1]).at(5_000)), (4, 0, 0));
        let cumulated: Vec<_> = between.cumulated().collect();
        assert_eq!((cumulated[0], cumulated[2], cumulated[BUCKETS - 1].1), ((1, 2), (7, 3), 4));
        Queue::unwatched().note(5);
    }

    #[test]
    fn a_table_of_something_else_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queues");
        drop(Table::create(&path, &["x".into()], &[&["open"]]).unwrap());
        assert_eq!(QueueLengths::read(&path).unwrap_err().to_string(), "not the lengths of links");
    }
}
