// Package report shows root calls to somebody who asks about them: the sink of `rootwatch review`.
//
// [Report] is what a review uses. It writes each call as JSON when it comes; or keeps the calls,
// grouped by session, and shows them at the end as a table for a terminal or as Markdown for a
// ticket; or shows one call with its evidence.
//
// Nearly every text in a record is chosen by whoever made the call. None of them reaches a terminal
// or a document as it is.
package report
