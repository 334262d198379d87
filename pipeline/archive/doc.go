// Package archive is the source of `rootwatch review`: it reads CloudTrail's events from files,
// folders and standard input, and hands them to package pipeline.
//
//	archive.go    the source
//	layout.go     which calls are asked for, and which folders of a trail cannot hold any
//	tree.go       one folder with all below it, links included, nothing twice
//	walk.go       all files of all paths, in a fixed order
//	file.go       one file on its way, and what is wrong with it
//	recognise.go  what a text is that is not cut up yet: a document, events, a digest file
//	read.go       one file from its first byte to its last batch
//	ahead.go      reading on a goroutine of its own
//	expand.go     gzip and zstd, by content, also one in the other
//	cut.go        cuts a text of any length into the values that may be events, in one pass and bounded memory
//	members.go    the same inside a document that is larger than the buffer: the elements of its lists
//	skim.go       the end of a value that is larger than the buffer, or broken
//	stamp.go      the timestamp before a line that CloudWatch Logs has exported
//	cutting.go    makes batches of what is cut out
//	summary.go    what was read and what was left out
//
// It judges nothing. Forms are known by content and only as far as is needed to cut them; the
// pipeline's decoder decides what each piece is. Values that root surely did not make are left out
// and counted, because the scanner that finds their end (package scan) reports that on the same
// pass; all others go to the decoder.
package archive
