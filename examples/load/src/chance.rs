/// Draws bytes from the operating system: keys, names and first numbers.
pub(crate) fn draw<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("nothing here can be done without entropy");
    bytes
}
