use plenary_wire::Ecn;

/// What the path does to ECN marks (RFC 6679 §7.2.1: whether ECN may go on to be used).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EcnPath {
    /// Too few packets that left ECN-capable were reported on.
    #[default]
    Untested,
    /// They arrive as they left, or marked.
    Capable,
    /// They arrive as not ECN-capable: no mark would be seen. Send without.
    Bleached,
    /// They arrive ECN-capable of another kind: marks can't be trusted. Send without.
    Rewritten,
}

/// Packets in a row that make up its mind; RFC 9000 §A.4 tests with 10 as well.
const ROW: u8 = 10;

/// Finds the [`EcnPath`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EcnValidation {
    path: EcnPath,
    /// What the last packets say, and how many in a row.
    candidate: EcnPath,
    row: u8,
}

impl EcnValidation {
    pub(super) const fn path(&self) -> EcnPath {
        self.path
    }

    /// A packet arrived that left with ECN bits `sent`.
    pub(super) fn note(&mut self, sent: Ecn, arrived: Ecn) {
        if sent == Ecn::NotEct {
            return;
        }
        let says = match arrived {
            Ecn::NotEct => EcnPath::Bleached,
            Ecn::Ce => EcnPath::Capable,
            arrived if arrived == sent => EcnPath::Capable,
            _ => EcnPath::Rewritten,
        };
        if says != self.candidate {
            (self.candidate, self.row) = (says, 0);
        }
        self.row = self.row.saturating_add(1);
        if self.row >= ROW {
            self.path = says;
        }
    }
}
