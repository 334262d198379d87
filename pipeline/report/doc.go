// Package report shows root calls to somebody who asks about them: the sinks of `rootwatch review`.
//
// [JSON] writes each call when it comes. [Calls] keeps them, grouped by session, and is shown at the end as a table for a
// terminal or as Markdown for a ticket. [Explanation] shows one call with its evidence.
//
// Nearly every text in a record is chosen by whoever made the call. None of them reaches a terminal or a document as it
// is: see plain.go.
package report
