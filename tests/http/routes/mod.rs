//! Each route with input that it must refuse: the documented status, a problem document that names
//! the field, and nothing changed. No answer of the 5xx class ever: `TestApp` looks at each.
//!
//! * wrong types, missing fields, NaN, negative, deep, huge:
//!   `routes::garbage::every_wrong_field_of_every_route_is_named_and_no_row_changes`
//! * paths and queries: `routes::garbage::every_path_and_query_with_nonsense_is_refused_and_no_row_changes`
//! * bodies that are none: `routes::bodies::what_is_no_json_is_400_and_another_content_is_415_everywhere`,
//!   `routes::bodies::multipart_bodies_that_are_broken_are_400`
//! * 10 MB: `routes::bodies::ten_megabytes_are_too_large_everywhere_but_in_files`,
//!   `routes::transcription::a_file_beyond_its_limit_is_413_and_leaves_nothing`
//! * unknown kinds: `routes::ops::unknown_routes_are_404_and_wrong_methods_405_with_those_that_work`,
//!   `routes::tasks::what_is_no_task_is_404_and_wrong_queries_are_named`
//! * foreign tasks: `walks::cancel::a_foreign_task_cannot_be_seen_or_cancelled`
//! * uid 0, and a uid that is not the signer's:
//!   `routes::miners::uid_zero_works_and_another_uid_is_not_yours`
//! * expired and foreign lease tokens, the same answer twice, another for the same lease:
//!   `routes::miner_response::wrong_answers_are_refused_by_field_and_the_lease_lives_on`,
//!   `routes::miner_tasks::heartbeats_and_releases_of_no_lease_are_refused`,
//!   `traps::completion_and_renewal_are_refused_after_expiry`
//! * lying Content-Length: `routes::transcription::lying_content_lengths_make_no_task_and_break_nothing`
//! * a path in a file name: `routes::transcription::a_path_in_a_file_name_is_no_path`,
//!   `routes::names::two_hundred_hostile_names_do_no_harm`

mod admin_keys;
mod any;
mod bodies;
mod downloads;
mod files;
mod garbage;
mod miner_response;
mod miner_tasks;
mod miners;
mod names;
mod openai;
mod ops;
mod scores;
mod tasks;
mod transcription;
mod tts;
mod uploads;
mod validator;
mod validators;
mod voices;
mod webhooks;
