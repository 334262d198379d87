package pipeline

import (
	"context"
	"log/slog"
	"time"

	"rootwatch/classify"
	"rootwatch/classify/plain"
)

// LogSink writes one structured line per root call, message "root call": the record of what
// happened.
type LogSink struct {
	handler slog.Handler
	busy    chan struct{} // holds one while a line is being written
}

// NewLogSink returns a sink that writes to the logger's handler. The lines are written whatever
// level the handler is set to, and a handler's error is the sink's: no root call may go missing in
// a log setting.
func NewLogSink(l *slog.Logger) *LogSink { return &LogSink{l.Handler(), make(chan struct{}, 1)} }

// Take implements [Sink]. It returns when the line is written, or when ctx ends: a write to a pipe
// that nobody reads blocks for ever and ignores its context, so each line is written by a goroutine
// of its own, one at a time. That of a write that never returns stays behind, and so may the line:
// its batch is not done and comes again.
func (s *LogSink) Take(ctx context.Context, f *Finding) error {
	level := slog.LevelInfo
	if f.Verdict != classify.ServiceInvoked && f.Verdict != classify.Expected {
		level = slog.LevelWarn
	}
	r := slog.NewRecord(time.Now(), level, "root call", 0)
	r.AddAttrs(f.Attrs()...)
	select {
	case s.busy <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	written := make(chan error, 1)
	go func() {
		err := recovered(func() error { return s.handler.Handle(ctx, r) })
		<-s.busy
		written <- err
	}()
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxAttr is how many bytes of a value an attribute keeps: as many as CloudTrail keeps of a user
// agent. A line must fit into a log.
const maxAttr = 1024

// Attrs are the finding's attributes as in the log line, in its order: each is always there, a
// string, and "" where the record does not say. Where it comes from is shard_id and
// sequence_number, or file. Values are cut at 1 KiB.
func (f *Finding) Attrs() []slog.Attr {
	e := f.Event
	attr := func(key, value string) slog.Attr { return slog.String(key, plain.Cut(value, maxAttr)) }
	attrs := []slog.Attr{
		attr("verdict", string(f.Verdict)),
		attr("reason", string(f.Reason)),
		attr("severity", string(f.Severity)),
		attr("impact", f.Impact),
		attr("policy", f.Policy),
		attr("policy_dry_run", f.DryRun),
		attr("service", f.Service),
		attr("event_id", e.EventID.Value),
		attr("event_time", e.EventTime.Value),
		attr("account_id", f.AccountID),
		attr("account_name", f.Account.Name),
		attr("region", e.AWSRegion.Value),
		attr("event_source", e.EventSource.Value),
		attr("event_name", e.EventName.Value),
		attr("source_ip", e.SourceIPAddress.Value),
		attr("user_agent", e.UserAgent.Value),
		attr("access_key_id", e.Key()),
		attr("session", classify.SessionOf(e, f.AccountID).ID()),
		attr("session_started", e.SessionStarted()),
		attr("mfa", e.MFA()),
		attr("error_code", e.ErrorCode.Value),
		attr("read_only", e.ReadOnly.Value),
		attr("addendum", e.AddendumReason()),
		attr("explanation", f.Explanation),
	}
	if f.File != "" {
		return append(attrs, attr("file", f.File))
	}
	return append(attrs, attr("shard_id", f.ShardID), attr("sequence_number", f.SequenceNumber))
}

// logUndecodable logs a broken unit: where it stands and how it begins, so that its sender can be
// found.
func logUndecodable(log *slog.Logger, b *Batch, r *Record, data []byte, err error) {
	log.Warn("undecodable record", "err", err, "shard_id", b.ShardID, "sequence_number", r.SequenceNumber,
		"file", b.File, "size", len(data), "begins", plain.Begins(data, 128))
}
