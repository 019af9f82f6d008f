use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Network;
use crate::link::{Link, LinkConfig};
use crate::nat::{Nat, NatConfig};

/// A node: a host with addresses, sockets and streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

impl NodeId {
    /// Its number, from zero in the order in which nodes were added.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A site: a router with what is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId(pub(super) u32);

impl SiteId {
    /// The public internet, in the middle of all.
    pub const INTERNET: Self = Self(0);
}

/// A one-way link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(super) u32);

/// How a site is connected to the one around it.
#[derive(Clone, Debug, Default)]
pub struct SiteConfig {
    /// From the site outwards.
    pub up: LinkConfig,
    /// Into the site.
    pub down: LinkConfig,
    /// Its NAT or firewall; without one it is a plain router with the addresses of the site around it, such as two
    /// ends of a shared bottleneck.
    pub gateway: Option<NatConfig>,
}

impl SiteConfig {
    /// A site behind a NAT or firewall, on perfect links.
    pub fn nat(gateway: NatConfig) -> Self {
        Self { gateway: Some(gateway), ..Self::default() }
    }
}

#[derive(Debug)]
pub(super) struct Site {
    parent: Option<SiteId>,
    /// Up and down; the internet has none.
    pub(super) links: Option<(LinkId, LinkId)>,
    pub(super) gateway: Option<Nat>,
    /// The way to each address inside.
    routes: BTreeMap<IpAddr, LinkId>,
}

impl Site {
    pub(super) const fn internet() -> Self {
        Self { parent: None, links: None, gateway: None, routes: BTreeMap::new() }
    }

    pub(super) fn owns(&self, address: IpAddr) -> bool {
        self.gateway.as_ref().is_some_and(|nat| nat.owns(address))
    }

    fn translates(&self, address: IpAddr) -> bool {
        self.gateway.as_ref().is_some_and(|nat| nat.translates(address))
    }
}

#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) interfaces: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Interface {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) up: LinkId,
    down: LinkId,
}

/// What is at the far end of a link.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Node(NodeId),
    /// A site's router, for a packet from inside.
    Inside(SiteId),
    /// The same, for one from outside.
    Outside(SiteId),
}

impl Network {
    /// Adds a site within another.
    ///
    /// # Panics
    ///
    /// If an external address of its NAT is already in use around it.
    pub fn add_site(&mut self, parent: SiteId, config: SiteConfig) -> SiteId {
        let id = SiteId(self.sites.len() as u32);
        let up = self.add_link(config.up, End::Inside(parent));
        let down = self.add_link(config.down, End::Outside(id));
        // Labels of links count from zero, those of NATs down from the highest.
        let label = u64::MAX - u64::from(id.0);
        let external = config.gateway.as_ref().map_or_else(Vec::new, |gateway| gateway.external.clone());
        let gateway = config.gateway.map(|config| Nat::new(config, self.seed, label));
        self.sites.push(Site { parent: Some(parent), links: Some((up, down)), gateway, routes: BTreeMap::new() });
        for address in external {
            self.announce(parent, address, down);
        }
        id
    }

    /// Adds a node without an address; [`attach`](Self::attach) gives it some.
    pub fn add_node(&mut self) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(Node::default());
        id
    }

    /// Adds a node with one interface to a site and perfect links: where only the site's links matter.
    ///
    /// # Panics
    ///
    /// As [`attach`](Self::attach).
    pub fn add_host(&mut self, site: SiteId, addresses: &[IpAddr]) -> NodeId {
        let node = self.add_node();
        self.attach(node, site, addresses, [LinkConfig::default(), LinkConfig::default()]);
        node
    }

    /// Gives a node an interface in a site, with its own addresses and links (from the node, and to it), and names
    /// these. A node with two interfaces has two ways; its source address chooses.
    ///
    /// # Panics
    ///
    /// If an address is already in use where it can be seen: within the NAT that is around it.
    pub fn attach(
        &mut self,
        node: NodeId,
        site: SiteId,
        addresses: &[IpAddr],
        [up, down]: [LinkConfig; 2],
    ) -> (LinkId, LinkId) {
        let up = self.add_link(up, End::Inside(site));
        let down = self.add_link(down, End::Node(node));
        for &address in addresses {
            self.announce(site, address, down);
        }
        self.nodes[node.index()].interfaces.push(self.interfaces.len());
        self.interfaces.push(Interface { addresses: addresses.to_vec(), up, down });
        (up, down)
    }

    /// The links of a site to the one around it: outwards and inwards.
    ///
    /// # Panics
    ///
    /// For the internet, which has none.
    pub fn site_links(&self, site: SiteId) -> (LinkId, LinkId) {
        self.sites[site.0 as usize].links.expect("the internet has no links of its own")
    }

    /// The links of a node's first interface: from it and to it.
    ///
    /// # Panics
    ///
    /// If it has no interface.
    pub fn node_links(&self, node: NodeId) -> (LinkId, LinkId) {
        let first = self.nodes[node.index()].interfaces.first().expect("the node has an interface");
        (self.interfaces[*first].up, self.interfaces[*first].down)
    }

    /// The addresses of a node.
    pub fn addresses(&self, node: NodeId) -> impl Iterator<Item = IpAddr> {
        self.nodes[node.index()].interfaces.iter().flat_map(|index| &self.interfaces[*index].addresses).copied()
    }

    pub(super) fn down_link(&self, site: SiteId, address: IpAddr) -> Option<LinkId> {
        self.sites[site.0 as usize].routes.get(&address).copied()
    }

    fn add_link(&mut self, config: LinkConfig, end: End) -> LinkId {
        let id = LinkId(self.links.len() as u32);
        self.links.push((Link::new(config, self.seed, u64::from(id.0)), end));
        self.link_wakes.push(None);
        self.link_logs.push(None);
        id
    }

    /// An address is down this link, as seen from a site and from those around it, up to the NAT that hides it.
    fn announce(&mut self, site: SiteId, address: IpAddr, mut down: LinkId) {
        let mut at = Some(site);
        while let Some(id) = at {
            let site = &mut self.sites[id.0 as usize];
            let known = site.routes.insert(address, down);
            assert!(known.is_none() && !site.owns(address), "{address} is already in use there");
            if site.translates(address) {
                return;
            }
            let Some((_, outer)) = site.links else { return };
            down = outer;
            at = site.parent;
        }
    }
}
