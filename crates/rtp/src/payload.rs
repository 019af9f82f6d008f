//! What stands at the front of a media payload, per codec: frame starts, key frames, layers, numbers to rewrite.
