/// Draws bytes from the operating system: keys, names and first numbers that nobody can guess.
pub(crate) fn draw<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("nothing here can be done without entropy");
    bytes
}
