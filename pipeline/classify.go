package pipeline

import (
	"context"
	"log/slog"

	"rootwatch/classify"
)

// classifier is the third stage: it judges each root call, and looks up who is affected and whether
// it was planned.
type classifier struct {
	log     *slog.Logger
	account func(id string) Account                                 // nil: nothing is known about accounts
	expects func(*classify.Event, *classify.Finding) (entry string) // nil: nothing is planned
	dryRun  bool
}

func (s *classifier) process(_ context.Context, w *work) error {
	judged := w.events[:0]
	for _, e := range w.events {
		record := &w.Records[e.record]
		judge := func() {
			e.finding = &Finding{
				Finding:        classify.Classify(e.Event),
				Event:          e.Event,
				ID:             e.id,
				ShardID:        w.ShardID,
				SequenceNumber: record.SequenceNumber,
				File:           w.File,
				Arrival:        record.Arrival,
			}
		}
		if guard(s.log, w, &e, judge) {
			s.name(e.finding)
			s.expect(e.finding)
			judged = append(judged, e)
		}
	}
	clear(w.events[len(judged):])
	w.events = judged
	return nil
}

// name looks the account up. A call must not be lost for want of a name.
func (s *classifier) name(f *Finding) {
	if s.account == nil {
		return
	}
	err := recovered(func() error { f.Account = s.account(f.AccountID); return nil })
	if err != nil {
		s.log.Error("the name of an account could not be looked up", "err", err, "account_id", f.AccountID, "id", f.ID)
	}
}

// expect asks the policy about an unexplained call. A service's own call keeps its verdict, and so
// does a call about which the policy cannot be asked: that one pages.
func (s *classifier) expect(f *Finding) {
	if s.expects == nil || f.Verdict != classify.Unexplained {
		return
	}
	entry := ""
	err := recovered(func() error { entry = s.expects(f.Event, &f.Finding); return nil })
	switch {
	case err != nil:
		s.log.Error("the policy could not be asked about a root call, which stays unexplained", "err", err, "account_id", f.AccountID, "id", f.ID)
	case entry == "":
	case s.dryRun:
		f.DryRun = entry
	default:
		f.Policy, f.Verdict = entry, classify.Expected
	}
}
