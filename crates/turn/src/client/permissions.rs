//! Which addresses may send through the relay (RFC 8656 §9, §10).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use plenary_stun::ErrorCode;

use super::Error;
use super::channels::Channels;

/// They last 5 minutes (RFC 8656 §9), and are asked for again after 4.
pub(crate) const REFRESH: Duration = Duration::from_secs(240);
/// How long is waited before one is asked for again that got no answer.
const PAUSE: Duration = Duration::from_secs(1);
/// Addresses in one request that asks again: with 24 bytes each it stays one datagram everywhere.
const BATCH: usize = 32;

#[derive(Debug)]
pub(crate) struct Permissions {
    table: BTreeMap<IpAddr, Permission>,
    max: usize,
    due_at: Option<Instant>,
    untold: usize,
}

#[derive(Debug)]
struct Permission {
    phase: Phase,
    /// The caller has asked for it by name.
    is_kept: bool,
    /// It is asked for by a request of its own: the server forbids all of a request for one address, and has not allowed
    /// this one yet, or no more.
    is_alone: bool,
    used_at: Instant,
    due_at: Option<Instant>,
    refusal: Option<ErrorCode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Wanted,
    Asked,
    Granted,
    Refused,
}

impl Permissions {
    pub(crate) const fn new(max: u16) -> Self {
        Self { table: BTreeMap::new(), max: max as usize, due_at: None, untold: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.table.clear();
        (self.due_at, self.untold) = (None, 0);
    }

    pub(crate) const fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    /// A datagram goes there, or, with `keep`, the caller wants it to be let in until it says otherwise.
    pub(crate) fn want(&mut self, ip: IpAddr, keep: bool, idle: Duration, now: Instant) -> Result<(), Error> {
        if let Some(known) = self.table.get_mut(&ip) {
            if known.phase == Phase::Refused {
                return Err(Error::Refused);
            }
            known.used_at = now;
            known.is_kept |= keep;
            return Ok(());
        }
        if self.table.len() >= self.max {
            let is_spare = |it: &Permission| {
                it.phase == Phase::Refused || !it.is_kept && now.saturating_duration_since(it.used_at) >= idle
            };
            let oldest = self.table.iter().filter(|(_, it)| is_spare(it)).min_by_key(|(_, it)| it.used_at);
            let spare = oldest.map(|(ip, _)| *ip).ok_or(Error::Permissions)?;
            self.forget(spare);
        }
        let permission = Permission {
            phase: Phase::Wanted,
            is_kept: keep,
            is_alone: true,
            used_at: now,
            due_at: Some(now),
            refusal: None,
        };
        self.table.insert(ip, permission);
        self.due_at = Some(now);
        Ok(())
    }

    pub(crate) fn forget(&mut self, ip: IpAddr) {
        if self.table.remove(&ip).is_some_and(|it| it.refusal.is_some()) {
            self.untold -= 1;
        }
        self.find_due();
    }

    /// Whether data from there is expected: it may come before the answer does.
    pub(crate) fn allows(&self, ip: IpAddr) -> bool {
        self.table.get(&ip).is_some_and(|it| matches!(it.phase, Phase::Asked | Phase::Granted))
    }

    /// The addresses of the next request; none if none is due.
    pub(crate) fn take_due(&mut self, channels: &Channels, idle: Duration, now: Instant) -> Vec<IpAddr> {
        let mut asked = Vec::new();
        if self.due_at.is_none_or(|due| due > now) {
            return asked;
        }
        let mut gone = Vec::new();
        for (&ip, it) in &mut self.table {
            if it.due_at.is_none_or(|due| due > now) {
                continue;
            }
            let used_at = channels.used_at(ip).max(Some(it.used_at)).unwrap_or(now);
            let is_idle = !it.is_kept && now.saturating_duration_since(used_at) >= idle;
            if it.phase == Phase::Refused || is_idle {
                gone.push(ip);
            } else if !it.is_alone || asked.is_empty() {
                asked.push(ip);
                (it.phase, it.due_at) = (Phase::Asked, None);
                if it.is_alone || asked.len() == BATCH {
                    break;
                }
            }
        }
        gone.into_iter().for_each(|ip| self.forget(ip));
        self.find_due();
        asked
    }

    pub(crate) fn granted(&mut self, ips: &[IpAddr], now: Instant) {
        for ip in ips {
            if let Some(it) = self.table.get_mut(ip) {
                (it.phase, it.is_alone, it.due_at) = (Phase::Granted, false, Some(now + REFRESH));
            }
        }
        self.find_due();
    }

    /// The server has refused a request. Whose fault it was is known of a single address only.
    pub(crate) fn refused(&mut self, ips: &[IpAddr], code: ErrorCode, idle: Duration, now: Instant) {
        for ip in ips {
            let Some(it) = self.table.get_mut(ip) else { continue };
            if ips.len() > 1 {
                (it.phase, it.is_alone, it.due_at) = (Phase::Wanted, true, Some(now));
            } else {
                (it.phase, it.due_at) = (Phase::Refused, Some(now + idle));
                self.untold += usize::from(it.refusal.replace(code).is_none());
            }
        }
        self.find_due();
    }

    /// There was no answer.
    pub(crate) fn unanswered(&mut self, ips: &[IpAddr], now: Instant) {
        for ip in ips {
            if let Some(it) = self.table.get_mut(ip) {
                (it.phase, it.due_at) = (Phase::Wanted, Some(now + PAUSE));
            }
        }
        self.find_due();
    }

    /// A refusal that was not told yet.
    pub(crate) fn next_refusal(&mut self) -> Option<(IpAddr, ErrorCode)> {
        if self.untold == 0 {
            return None;
        }
        let next = self.table.iter_mut().find_map(|(ip, it)| it.refusal.take().map(|code| (*ip, code)));
        self.untold -= usize::from(next.is_some());
        next
    }

    fn find_due(&mut self) {
        self.due_at = self.table.values().filter_map(|it| it.due_at).min();
    }
}
