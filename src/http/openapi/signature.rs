//! What a handler's arguments say of its route: who may call it, whether it reads a body, and the
//! names in its query. The documentation is completed with it and held against it.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path, Payload, Query};
use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::forward_to_deserialize_any;

use super::operation::Callers;
use crate::http::Web;
use crate::http::auth::{
    Admin, AnyCaller, ClientCaller, MinerCaller, UploadCaller, ValidatorCaller, WitnessCaller,
};
use crate::http::upload::Body;

/// See the module's docs.
#[derive(Debug, Default)]
pub(in crate::http) struct Signature {
    /// Who may call; open for extractors that serve several.
    pub(super) callers: Option<Callers>,
    /// Whether it wants to know who calls at all.
    pub(super) asks_who: bool,
    /// Whether it reads a body.
    pub(super) body: bool,
    /// How many names its path has.
    pub(super) path: usize,
    /// Names in its query.
    pub(super) query: Vec<&'static str>,
}

/// An argument of a handler, or all of them.
pub(in crate::http) trait Argument {
    /// Adds what it says.
    fn tell(signature: &mut Signature);
}

macro_rules! callers {
    ($($extractor:ty => $callers:expr;)*) => {
        $(impl Argument for $extractor {
            fn tell(signature: &mut Signature) {
                signature.asks_who = true;
                signature.callers = $callers;
            }
        })*
    };
}

callers! {
    AnyCaller => Some(Callers::Known);
    ClientCaller => Some(Callers::Clients);
    MinerCaller => Some(Callers::Miners);
    ValidatorCaller => Some(Callers::Validators);
    WitnessCaller => Some(Callers::Validators);
    Admin => Some(Callers::Admins);
    // Clients hand in, miners answer: the handler proves which.
    UploadCaller => None;
}

impl Argument for Data<Web> {
    fn tell(_: &mut Signature) {}
}

impl Argument for HttpRequest {
    fn tell(_: &mut Signature) {}
}

impl Argument for Payload {
    fn tell(signature: &mut Signature) {
        signature.body = true;
    }
}

impl Argument for Body {
    fn tell(signature: &mut Signature) {
        signature.body = true;
    }
}

impl Argument for Path<String> {
    fn tell(signature: &mut Signature) {
        signature.path = 1;
    }
}

impl Argument for Path<(String, String)> {
    fn tell(signature: &mut Signature) {
        signature.path = 2;
    }
}

impl<T: DeserializeOwned> Argument for Query<T> {
    fn tell(signature: &mut Signature) {
        // Ends in an error once the names are known.
        drop(T::deserialize(Names(&mut signature.query)));
    }
}

macro_rules! tuples {
    ($(($($argument:ident),*))*) => {
        $(impl<$($argument: Argument),*> Argument for ($($argument,)*) {
            #[allow(unused_variables, reason = "of the empty one")]
            fn tell(signature: &mut Signature) {
                $($argument::tell(signature);)*
            }
        })*
    };
}

tuples! { () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) }

/// Learns the names of a struct's fields from its `Deserialize`.
struct Names<'n>(&'n mut Vec<&'static str>);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.extend(fields);
        Err(Error::custom("only the names were wanted"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Error::custom("a query is a struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
