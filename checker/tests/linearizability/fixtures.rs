//! Published histories.
