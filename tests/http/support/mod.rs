//! A server to ask, the calls to ask it with, and the answers with what they must look like.

pub(crate) mod answer;
pub(crate) mod app;
pub(crate) mod call;
pub(crate) mod contract;
pub(crate) mod people;
pub(crate) mod raw;
pub(crate) mod receiver;
pub(crate) mod verbs;

pub(crate) use answer::Answer;
pub(crate) use app::{TestApp, wait_for};
pub(crate) use call::{Call, Part};
pub(crate) use contract::{Contract, served, served_with};
pub(crate) use people::{Peer, Who, miner, status, validator};
pub(crate) use receiver::Receiver;
pub(crate) use verbs::{TEXT, text, token};
