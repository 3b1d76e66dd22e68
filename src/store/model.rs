//! The store as plain maps: the specification that the SQL stores are compared with.
