//! Apply and revert against a kernel that is a table, with deaths, refusals and strangers in between.

use std::{collections::BTreeMap, io, panic};

use proptest::prelude::*;

use super::{
    changes::{self, Application, Files, LimitOutcome},
    host::{Access, Host, Limits, Reading},
    journal::{Journal, Namespace},
    plan, way_back,
};
use crate::{
    config::{Key, Tuning},
    holders::Holder,
};

const HERE: Namespace = Namespace {
    cookie: 1,
    inode: 4_026_531_840,
};

#[derive(Clone, Debug, Default)]
struct Table {
    keys: BTreeMap<String, String>,
    limits: BTreeMap<i32, Limits>,
    open_files: u64,
    may_raise: bool,
    /// Dies before this change.
    dies_at: Option<usize>,
    /// A key and a value, as it would be shown.
    refuses: Option<(String, String)>,
    changes: usize,
}

struct Death;

impl Table {
    fn change(&mut self) {
        if self.dies_at == Some(self.changes) {
            panic::resume_unwind(Box::new(Death));
        }
        self.changes += 1;
    }
}

impl Host for Table {
    fn read(&self, key: &Key) -> Reading {
        match self.keys.get(&key.to_string()) {
            Some(text) => Reading::Value {
                text: text.clone(),
                access: Access::Writable,
            },
            None => Reading::Missing,
        }
    }

    fn write(&mut self, key: &Key, text: &str) -> io::Result<()> {
        self.change();
        let key = key.to_string();
        // As the kernel prints vectors.
        let shown = text.split_whitespace().collect::<Vec<_>>().join("\t");
        if self.refuses == Some((key.clone(), shown.clone())) {
            // As it does with those of which it refuses the last field.
            if let Some((_, last)) = self.keys[&key].rsplit_once('\t')
                && let Some((first, _)) = shown.rsplit_once('\t')
            {
                let half = format!("{first}\t{last}");
                self.keys.insert(key, half);
            }
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.keys.insert(key, shown);
        Ok(())
    }

    fn limits(&self, process: &Holder) -> io::Result<Limits> {
        self.limits
            .get(&process.pid)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn set_limits(&mut self, process: &Holder, limits: Limits) -> io::Result<()> {
        self.change();
        let may_raise = self.may_raise;
        let now = self
            .limits
            .get_mut(&process.pid)
            .ok_or(io::ErrorKind::NotFound)?;
        if limits.hard > now.hard && !may_raise {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        *now = limits;
        Ok(())
    }

    fn open_files(&self, _: &Holder) -> io::Result<u64> {
        Ok(self.open_files)
    }
}

fn application(pid: i32) -> Application {
    Application {
        process: Holder {
            pid,
            started: 1,
            name: "app".to_owned(),
        },
        ports: [].into(),
    }
}

/// As the commands do it; `disk` is what a death leaves.
fn apply_all(
    host: &mut Table,
    disk: &mut Journal,
    exact: bool,
    believes: bool,
) -> Vec<LimitOutcome> {
    let tuning = Tuning {
        exact,
        ..Tuning::default()
    };
    let mut journal = disk.clone();
    let mut save = |journal: &Journal| {
        *disk = Journal::parse(&serde_json::to_vec(journal).unwrap()).unwrap();
        Ok(())
    };
    let rows = plan::keys(plan::wishes(&tuning), |key| host.read(key), false).unwrap();
    changes::keys(&rows, HERE, host, &mut journal, &mut save).unwrap();
    let files = Files {
        nofile: tuning.nofile,
        exact,
        nr_open: 1_048_576,
        may_raise: believes,
    };
    let applications = host.limits.keys().map(|&pid| application(pid)).collect();
    let mut rows = changes::limit_rows(applications, files, host);
    changes::limits(&mut rows, files, host, &mut journal, &mut save).unwrap();
    save(&journal).unwrap();
    rows.into_iter().map(|row| row.outcome).collect()
}

/// True if it lived.
fn survives(host: &mut Table, action: impl FnOnce(&mut Table)) -> bool {
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| action(host)));
    host.dies_at = None;
    match outcome {
        Ok(()) => true,
        Err(payload) if payload.is::<Death>() => false,
        Err(payload) => panic::resume_unwind(payload),
    }
}

fn revert_all(host: &mut Table, disk: &mut Journal) {
    let mut journal = disk.clone();
    way_back::limits(&mut journal, host, false);
    way_back::keys(&mut journal, HERE, host, false);
    *disk = journal;
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..3_u64, 0..5000_u64, 0..1_u64 << 31]
}

fn vector() -> impl Strategy<Value = String> {
    prop::array::uniform3(number()).prop_map(|mut fields| {
        fields.sort_unstable();
        fields.map(|field| field.to_string()).join("\t")
    })
}

fn host() -> impl Strategy<Value = Table> {
    let numbers = prop::array::uniform8(number());
    let vectors = prop::array::uniform3(vector());
    let limits = prop::collection::btree_map(1..9_i32, (number(), number()), 0..4);
    (numbers, vectors, limits, any::<bool>()).prop_map(|(numbers, vectors, limits, may_raise)| {
        let numbers = numbers.map(|number| number.to_string());
        let names = [
            "net.core.rmem_max",
            "net.core.wmem_max",
            "net.core.netdev_max_backlog",
            "net.core.somaxconn",
            "net.ipv4.tcp_max_syn_backlog",
            "net.ipv4.tcp_syncookies",
            "fs.nr_open",
            "fs.file-max",
        ];
        let vector_names = ["net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem", "net.ipv4.tcp_mem"];
        let numbers = names.into_iter().zip(numbers);
        let all = numbers.chain(vector_names.into_iter().zip(vectors));
        let limits = limits.into_iter().map(|(pid, (one, other))| {
            let limits = Limits {
                soft: Some(one.min(other).clamp(1, 1_048_576)),
                hard: Some(one.max(other).clamp(1, 1_048_576)),
            };
            (pid, limits)
        });
        Table {
            keys: all.map(|(key, value)| (key.to_owned(), value)).collect(),
            limits: limits.collect(),
            may_raise,
            ..Table::default()
        }
    })
}

proptest! {
    #[test]
    fn apply_then_revert_restores_byte_for_byte(start in host(), exact: bool, believes: bool) {
        let mut host = start.clone();
        let mut disk = Journal::new("boot");
        // Who lowers a hard limit has to know.
        apply_all(&mut host, &mut disk, exact, start.may_raise || believes && !exact);
        if !exact {
            for (pid, now) in &host.limits {
                prop_assert!(now.soft >= start.limits[pid].soft && now.hard >= start.limits[pid].hard);
            }
        }
        revert_all(&mut host, &mut disk);
        prop_assert_eq!(&host.keys, &start.keys);
        prop_assert_eq!(&host.limits, &start.limits);
        prop_assert!(disk.is_empty(), "{:?}", disk);
    }

    /// Whatever dies and is repeated in between, with floors and to the letter in turns.
    #[test]
    fn deaths_in_between_bar_no_way_back(
        start in host(),
        steps in prop::collection::vec((any::<bool>(), prop::option::of(0..20_usize)), 1..4),
    ) {
        let mut host = start.clone();
        let mut disk = Journal::new("boot");
        let may_raise = start.may_raise;
        for (exact, dies_at) in steps {
            host.changes = 0;
            host.dies_at = dies_at;
            survives(&mut host, |host| {
                apply_all(host, &mut disk, exact, may_raise);
            });
        }
        revert_all(&mut host, &mut disk);
        prop_assert_eq!(&host.keys, &start.keys);
        prop_assert_eq!(&host.limits, &start.limits);
        prop_assert!(disk.is_empty(), "{:?}", disk);
    }

    /// A revert that dies is simply done again.
    #[test]
    fn a_revert_that_dies_is_repeated(start in host(), dies_at in 0..14_usize) {
        let mut host = start.clone();
        let mut disk = Journal::new("boot");
        let may_raise = host.may_raise;
        apply_all(&mut host, &mut disk, true, may_raise);
        host.changes = 0;
        host.dies_at = Some(dies_at);
        survives(&mut host, |host| revert_all(host, &mut disk));
        revert_all(&mut host, &mut disk);
        prop_assert_eq!(&host.keys, &start.keys);
        prop_assert_eq!(&host.limits, &start.limits);
        prop_assert!(disk.is_empty(), "{:?}", disk);
    }

    /// What somebody else has changed meanwhile is theirs.
    #[test]
    fn values_of_others_stay(start in host(), theirs in number(), index in 0..11_usize, again: bool) {
        let mut host = start.clone();
        let mut disk = Journal::new("boot");
        let may_raise = host.may_raise;
        apply_all(&mut host, &mut disk, false, may_raise);
        let key = start.keys.keys().nth(index).unwrap().clone();
        let theirs = match host.keys[&key].contains('\t') {
            true => format!("1\t2\t{theirs}"),
            false => theirs.to_string(),
        };
        prop_assume!(host.keys[&key] != theirs);
        host.keys.insert(key.clone(), theirs.clone());
        if again {
            apply_all(&mut host, &mut disk, false, may_raise);
        }
        revert_all(&mut host, &mut disk);
        for (each, was) in &start.keys {
            let expected = if *each == key { &theirs } else { was };
            prop_assert_eq!(&host.keys[each], expected, "{}", each);
        }
        prop_assert!(disk.is_empty(), "{:?}", disk);
    }

    #[test]
    fn a_refused_key_is_not_in_the_journal(start in host(), index in 0..11_usize) {
        let key = start.keys.keys().nth(index).unwrap().clone();
        let mut wishes = plan::wishes(&Tuning::default()).into_iter();
        let wish = wishes.find(|wish| wish.key.to_string() == key).unwrap();
        let wanted = wish.value.to_string().replace(' ', "\t");
        prop_assume!(start.keys[&key] != wanted);
        let mut host = Table {
            refuses: Some((key.clone(), wanted)),
            ..start.clone()
        };
        let mut disk = Journal::new("boot");
        let may_raise = host.may_raise;
        apply_all(&mut host, &mut disk, true, may_raise);
        prop_assert_eq!(&host.keys[&key], &start.keys[&key]);
        prop_assert!(disk.keys.iter().all(|entry| entry.key != key));
    }
}

#[test]
fn an_application_that_ends_meanwhile_is_told() {
    let mut host = Table::default();
    let files = Files {
        nofile: 2048,
        exact: false,
        nr_open: 4096,
        may_raise: true,
    };
    let low = Limits {
        soft: Some(1024),
        hard: Some(1024),
    };
    host.limits = [(1, low), (2, low)].into();
    host.may_raise = true;
    let mut journal = Journal::new("boot");
    let mut rows = changes::limit_rows(
        vec![application(1), application(2), application(3)],
        files,
        &host,
    );
    host.limits.remove(&1);
    changes::limits(&mut rows, files, &mut host, &mut journal, &mut |_| Ok(())).unwrap();
    let raised = Limits {
        soft: Some(2048),
        hard: Some(2048),
    };
    assert!(matches!(rows[0].outcome, LimitOutcome::Ended), "{rows:?}");
    assert!(
        matches!(rows[1].outcome, LimitOutcome::Set(set) if set == raised),
        "{rows:?}"
    );
    assert!(matches!(rows[2].outcome, LimitOutcome::Ended), "{rows:?}");
    assert_eq!(rows[0].complaint().unwrap(), "has ended meanwhile");
    assert_eq!(journal.limits.len(), 1);
}

/// Its next accept(2) would fail.
#[test]
fn an_application_with_more_files_open_keeps_its_limit() {
    let low = Limits {
        soft: Some(1024),
        hard: Some(4096),
    };
    let mut host = Table {
        limits: [(1, low)].into(),
        may_raise: true,
        ..Table::default()
    };
    let mut disk = Journal::new("boot");
    apply_all(&mut host, &mut disk, false, true);
    let raised = host.limits.clone();
    host.open_files = 1024;
    revert_all(&mut host, &mut disk);
    assert_eq!(host.limits, raised);
    assert_eq!(disk.limits.len(), 1);
    host.open_files = 1000;
    revert_all(&mut host, &mut disk);
    assert_eq!(host.limits[&1], low);
    assert!(disk.is_empty());
}

#[test]
fn ended_processes_are_forgotten() {
    let low = Limits {
        soft: Some(1024),
        hard: Some(4096),
    };
    let mut host = Table {
        limits: [(1, low), (2, low)].into(),
        may_raise: true,
        ..Table::default()
    };
    let mut disk = Journal::new("boot");
    apply_all(&mut host, &mut disk, false, true);
    host.limits.remove(&1);
    disk.forget_ended(&host);
    let pids: Vec<_> = disk.limits.iter().map(|entry| entry.pid).collect();
    assert_eq!(pids, [2]);
}

#[test]
fn a_journal_of_an_earlier_boot_restores_no_values() {
    let mut host = Table {
        keys: [("net.core.somaxconn".to_owned(), "128".to_owned())].into(),
        ..Table::default()
    };
    let mut disk = Journal::new("yesterday");
    apply_all(&mut host, &mut disk, false, true);
    disk.will_have("/etc/sysctl.d/90-redirector.conf".as_ref(), "text");
    assert_eq!(disk.enter("yesterday"), 0);
    assert_eq!(disk.enter("today"), 1);
    assert!(disk.keys.is_empty());
    assert_eq!(disk.files.len(), 1);
}

#[test]
fn other_namespaces_are_left_alone() {
    let mut host = Table {
        keys: [("net.core.somaxconn".to_owned(), "128".to_owned())].into(),
        ..Table::default()
    };
    let mut disk = Journal::new("boot");
    apply_all(&mut host, &mut disk, false, true);
    let other = Namespace { cookie: 2, ..HERE };
    let rows = way_back::keys(&mut disk, other, &mut host, false);
    assert!(
        matches!(rows[0].fate, way_back::Fate::Elsewhere(_)),
        "{rows:?}"
    );
    assert_eq!(host.keys["net.core.somaxconn"], "1024");
    revert_all(&mut host, &mut disk);
    assert_eq!(host.keys["net.core.somaxconn"], "128");
}
