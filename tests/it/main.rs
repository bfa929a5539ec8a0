//! What a caller sees, over real sockets.

mod sandbox;
