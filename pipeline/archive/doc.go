// Package archive is the source of `rootwatch review`: it reads CloudTrail's events from files, folders and
// standard input, and hands them to package pipeline.
//
//	walk.go    which files there are, in a fixed order; folders that a selection rules out stay unread
//	expand.go  gzip and zstd, by content, also one in the other
//	cut.go     cuts a text of any length into the values that may be events, in one pass and bounded memory
//	read.go    one file from its first byte to its last batch
//
// It judges nothing. Forms are known by content and only as far as is needed to cut them; what each piece is,
// the pipeline's decoder says. Values that root surely did not make are left out and counted, because the
// scanner that finds their end (package scan) says so on the same pass; all others go to the decoder.
package archive
