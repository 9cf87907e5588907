//! The clsact qdisc and the BPF filters on it (`net/sched/sch_ingress.c`, `net/sched/cls_bpf.c`).

use std::{io, os::fd::RawFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcHandle, TcMessage, TcOption},
};
use redirector_common::Direction;

use super::{Netlink, Refusal};

const CLSACT: &str = "clsact";
const QDISC: TcHandle = TcHandle {
    major: TcHandle::CLSACT.major,
    minor: 0,
};

/// What an interface has at the place of the clsact qdisc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clsact {
    Created,
    WasThere,
    /// An ingress qdisc, which has no egress.
    Ingress,
}

/// A BPF filter on a clsact qdisc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub priority: u16,
    pub handle: TcHandle,
    /// The program's id; 0 if the filter has none.
    pub program: u32,
    /// What whoever attached it called it, as often the program's section of an object file.
    pub name: Option<String>,
    /// Its kind, e.g. `bpf` or `flower`.
    pub kind: String,
}

impl Netlink {
    /// Makes the qdisc unless there is one.
    pub fn add_clsact(&self, ifindex: u32) -> Result<Clsact, Refusal> {
        let mut message = message(ifindex, TcHandle::CLSACT);
        message.header.handle = QDISC;
        message.attributes = vec![TcAttribute::Kind(CLSACT.to_owned())];
        let request = RouteNetlinkMessage::NewQueueDiscipline(message);
        match self.change(request, NLM_F_CREATE | NLM_F_EXCL) {
            Ok(()) => Ok(Clsact::Created),
            Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {
                Ok(match self.has_clsact(ifindex)? {
                    true => Clsact::WasThere,
                    false => Clsact::Ingress,
                })
            }
            Err(error) => Err(error),
        }
    }

    pub fn remove_clsact(&self, ifindex: u32) -> Result<(), Refusal> {
        let mut message = message(ifindex, TcHandle::CLSACT);
        message.header.handle = QDISC;
        message.attributes = vec![TcAttribute::Kind(CLSACT.to_owned())];
        self.change(RouteNetlinkMessage::DelQueueDiscipline(message), 0)
    }

    pub fn has_clsact(&self, ifindex: u32) -> Result<bool, Refusal> {
        self.has_qdisc(ifindex, CLSACT)
    }

    /// The qdisc without egress, which is at the same place.
    pub fn has_ingress(&self, ifindex: u32) -> Result<bool, Refusal> {
        self.has_qdisc(ifindex, "ingress")
    }

    fn has_qdisc(&self, ifindex: u32, wanted: &str) -> Result<bool, Refusal> {
        // The kernel dumps every interface's, whatever is asked.
        let request = RouteNetlinkMessage::GetQueueDiscipline(message(ifindex, TcHandle::UNSPEC));
        let qdiscs = self.request(request, NLM_F_DUMP)?;
        Ok(qdiscs.iter().any(|qdisc| match qdisc {
            RouteNetlinkMessage::NewQueueDiscipline(qdisc) => {
                qdisc.header.index == ifindex as i32 && kind(qdisc) == wanted
            }
            _ => false,
        }))
    }

    /// Every filter of a direction, in the order in which packets meet them. None without the qdisc.
    pub fn filters(&self, ifindex: u32, direction: Direction) -> Result<Vec<Filter>, Refusal> {
        let request = RouteNetlinkMessage::GetTrafficFilter(message(ifindex, parent(direction)));
        let answers = match self.request(request, NLM_F_DUMP) {
            // No such interface, or no such qdisc.
            Err(error) if is_missing(&error.source) => return Ok(Vec::new()),
            answers => answers?,
        };
        let mut filters = Vec::new();
        for answer in answers {
            let RouteNetlinkMessage::NewTrafficFilter(filter) = answer else {
                continue;
            };
            // Each priority begins with an entry of its own, without a filter.
            if u32::from(filter.header.handle) == 0 {
                continue;
            }
            filters.push(Filter {
                priority: (filter.header.info >> 16) as u16,
                handle: filter.header.handle,
                program: program(&filter),
                name: name(&filter),
                kind: kind(&filter).to_owned(),
            });
        }
        Ok(filters)
    }

    /// The kernel chooses the handle.
    pub fn add_filter(
        &self,
        ifindex: u32,
        direction: Direction,
        priority: u16,
        program: RawFd,
        name: &str,
    ) -> Result<(), Refusal> {
        let message = bpf(ifindex, direction, priority, program, name);
        let request = RouteNetlinkMessage::NewTrafficFilter(message);
        self.change(request, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// It keeps its place.
    pub fn replace_filter(
        &self,
        ifindex: u32,
        direction: Direction,
        filter: &Filter,
        program: RawFd,
    ) -> Result<(), Refusal> {
        let name = filter.name.as_deref().unwrap_or_default();
        let mut message = bpf(ifindex, direction, filter.priority, program, name);
        message.header.handle = filter.handle;
        self.change(RouteNetlinkMessage::NewTrafficFilter(message), 0)
    }

    pub fn remove_filter(
        &self,
        ifindex: u32,
        direction: Direction,
        filter: &Filter,
    ) -> Result<(), Refusal> {
        let mut message = message(ifindex, parent(direction));
        message.header.handle = filter.handle;
        message.header.info = info(filter.priority);
        message.attributes = vec![TcAttribute::Kind(filter.kind.clone())];
        self.change(RouteNetlinkMessage::DelTrafficFilter(message), 0)
    }
}

fn message(ifindex: u32, parent: TcHandle) -> TcMessage {
    let mut message = TcMessage::default();
    message.header.index = ifindex as i32;
    message.header.parent = parent;
    message
}

fn bpf(ifindex: u32, direction: Direction, priority: u16, program: RawFd, name: &str) -> TcMessage {
    let mut message = message(ifindex, parent(direction));
    message.header.info = info(priority);
    message.attributes = vec![
        TcAttribute::Kind(TcFilterBpf::KIND.to_owned()),
        TcAttribute::Options(vec![
            TcOption::Bpf(TcFilterBpfOption::ProgFd(program as u32)),
            TcOption::Bpf(TcFilterBpfOption::ProgName(name.to_owned())),
            TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
        ]),
    ];
    message
}

fn parent(direction: Direction) -> TcHandle {
    TcHandle {
        major: TcHandle::CLSACT.major,
        minor: match direction {
            Direction::Ingress => TcHandle::MIN_INGRESS,
            Direction::Egress => TcHandle::MIN_EGRESS,
        },
    }
}

/// Priority, and every protocol in network byte order.
fn info(priority: u16) -> u32 {
    u32::from(priority) << 16 | u32::from((libc::ETH_P_ALL as u16).to_be())
}

fn kind(message: &TcMessage) -> &str {
    let kind = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            TcAttribute::Kind(kind) => Some(kind.as_str()),
            _ => None,
        });
    kind.unwrap_or_default()
}

fn program(message: &TcMessage) -> u32 {
    let mut options = bpf_options(message);
    let id = options.find_map(|option| match option {
        TcFilterBpfOption::ProgId(id) => Some(*id),
        _ => None,
    });
    id.unwrap_or_default()
}

fn name(message: &TcMessage) -> Option<String> {
    bpf_options(message).find_map(|option| match option {
        TcFilterBpfOption::ProgName(name) => Some(name.clone()),
        _ => None,
    })
}

fn bpf_options(message: &TcMessage) -> impl Iterator<Item = &TcFilterBpfOption> {
    let attributes = message.attributes.iter();
    attributes
        .filter_map(|attribute| match attribute {
            TcAttribute::Options(options) => Some(options),
            _ => None,
        })
        .flatten()
        .filter_map(|option| match option {
            TcOption::Bpf(option) => Some(option),
            _ => None,
        })
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENODEV | libc::ENOENT | libc::EINVAL | libc::EOPNOTSUPP)
    )
}
