//! Who controls, and what happens when both think so (RFC 8445 §7.3.1.1, §7.2.5.1).

use crate::agent::Agent;
use crate::check::Purpose;
use crate::pair::PairState;
use crate::stun::Message;
use crate::{Event, Mode, Role};

impl Agent {
    /// Compares roles with a request of the peer; switches ours, or answers true if the peer must switch (487).
    pub(crate) fn role_conflict(&mut self, request: &Message<'_>) -> bool {
        let theirs = match self.role {
            Role::Controlling => request.controlling,
            Role::Controlled => request.controlled,
        };
        let Some(theirs) = theirs else { return false };
        if self.config.mode == Mode::Lite && !self.peer_is_lite() {
            return true; // RFC 8445 §6.1.1: beside a full agent, a lite one never controls
        }
        let we_win = self.tie_breaker >= theirs;
        match (self.role, we_win) {
            (Role::Controlling, true) | (Role::Controlled, false) => true,
            (Role::Controlling, false) | (Role::Controlled, true) => {
                self.switch_role();
                false
            }
        }
    }

    pub(crate) fn peer_is_lite(&self) -> bool {
        self.current.remote.as_ref().is_some_and(|remote| remote.lite)
    }

    pub(crate) fn switch_role(&mut self) {
        self.set_role(self.role.reversed());
    }

    pub(crate) fn set_role(&mut self, role: Role) {
        if self.role == role {
            return;
        }
        self.role = role;
        // What one role has nominated means nothing in the other.
        for pair in &mut self.current.pairs {
            pair.nomination = None;
            pair.nominate_on_success = None;
        }
        self.current.nominating = None;
        // Checks on their way say the old role: they begin again.
        let number = self.current.number;
        for transaction in self.transactions.iter_mut().filter(|it| it.generation == number) {
            if let Purpose::Check { nominate, .. } = &mut transaction.purpose {
                *nominate = None; // RFC 8445 §7.1.2: a controlled agent sends no USE-CANDIDATE
            }
            if transaction.sends == 0 {
                transaction.role = role;
            } else if let Purpose::Check { pair, .. } = transaction.purpose {
                transaction.next_send = None;
                if let Some(pair) = self.current.pair_mut(pair)
                    && pair.state == PairState::InProgress
                {
                    pair.state = PairState::Waiting;
                }
            }
        }
        self.current.reprioritize(&self.locals, role);
        self.push_event(Event::Role(role));
    }
}
