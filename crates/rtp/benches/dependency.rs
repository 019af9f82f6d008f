//! What a dependency descriptor costs: those of two captures. `cargo bench -p plenary-rtp --bench dependency`
//!
//! Each figure is for a thousand descriptors: the median in microseconds is the nanoseconds for one.

use divan::{AllocProfiler, Bencher, black_box};
use plenary_rtp::ExtendedSeqNo;
use plenary_rtp::extension::dependency::{Descriptor, Layout, StructureState};

#[path = "../tests/it/captures.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod captures;

use captures::{Capture, RTX};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const ID: u8 = 5;
const COUNT: usize = 1000;
/// Three spatial and three temporal layers in one stream: mostly three bytes, as a template says it all.
const SVC: &str = "chromium-vp9-l3t3key";
/// Three streams with one frame counter: mostly with custom frame differences.
const SIMULCAST: &str = "chromium-vp8-simulcast";

/// Descriptors without a structure, and what was known when they came.
struct Stream {
    state: StructureState,
    descriptors: Vec<Vec<u8>>,
}

impl Stream {
    fn of(name: &'static str) -> Self {
        let capture = Capture::open(name);
        let media = |payload_type| capture.encoding(payload_type) != RTX;
        let packets = capture.packets().map(|(_, packet)| packet).filter(|packet| media(packet.payload_type()));
        // All streams and key frames of these captures have the same templates.
        let mut state = StructureState::new();
        let mut descriptors = Vec::new();
        for data in packets.filter_map(|packet| packet.extension(ID)) {
            if state.structure().is_none() {
                state.parse(data, ExtendedSeqNo(0)).expect("a key frame comes first");
            } else if data.get(3).is_none_or(|flags| flags & 0x80 == 0) {
                descriptors.push(data.to_vec());
            }
        }
        descriptors.truncate(COUNT);
        assert_eq!(descriptors.len(), COUNT);
        Self { state, descriptors }
    }

    fn parsed(&mut self) -> Vec<(Descriptor, Layout)> {
        let Self { state, descriptors } = self;
        descriptors.iter().map(|data| state.parse(data, ExtendedSeqNo(1)).expect("a good descriptor")).collect()
    }
}

#[divan::bench(args = [SVC, SIMULCAST])]
fn a_parse(bencher: Bencher<'_, '_>, name: &'static str) {
    let mut stream = Stream::of(name);
    bencher.bench_local(|| {
        let Stream { state, descriptors } = black_box(&mut stream);
        let parsed = descriptors.iter().filter_map(|data| state.parse(data, ExtendedSeqNo(1)).ok());
        parsed.map(|(descriptor, _)| usize::from(descriptor.dependencies.spatial_id)).sum::<usize>()
    });
}

#[divan::bench(args = [SVC, SIMULCAST])]
fn b_write(bencher: Bencher<'_, '_>, name: &'static str) {
    let mut stream = Stream::of(name);
    let parsed = stream.parsed();
    let structure = stream.state.structure().expect("a structure");
    let mut out = [0; 255];
    bencher.bench_local(|| {
        let descriptors = black_box(&parsed).iter();
        descriptors.map(|(descriptor, _)| descriptor.write(structure, &mut out).expect("room")).sum::<usize>()
    });
}

/// Another frame number, and the mask that keeps one decode target.
fn rewrite(bencher: Bencher<'_, '_>, name: &'static str, mask: Option<u32>) {
    let mut stream = Stream::of(name);
    let parsed = stream.parsed();
    let mut out = [0; 255];
    bencher.bench_local(|| {
        let descriptors = black_box(&parsed).iter().zip(&stream.descriptors);
        descriptors.map(|((_, layout), data)| layout.rewrite(data, 77, mask, &mut out).expect("room")).sum::<usize>()
    });
}

#[divan::bench(args = [SVC, SIMULCAST])]
fn c_rewrite_number(bencher: Bencher<'_, '_>, name: &'static str) {
    rewrite(bencher, name, None);
}

#[divan::bench(args = [SVC, SIMULCAST])]
fn d_insert_mask(bencher: Bencher<'_, '_>, name: &'static str) {
    rewrite(bencher, name, Some(1));
}
