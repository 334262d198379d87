package awstest

import (
	"maps"
	"sync"
)

// Call is an action as IAM policies name it ("kinesis:GetRecords"), and who took it.
type Call struct {
	Action      string
	AccessKeyID string
}

// callLog counts calls.
type callLog struct {
	mu     sync.Mutex
	counts map[Call]int
}

func (l *callLog) record(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = map[Call]int{}
	}
	l.counts[c]++
}

// Calls says how often each action was called by each access key since the start or the last
// [Service.ResetCalls]: every attempt, also one that failed or met a fault.
func (s *Service) Calls() map[Call]int {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return maps.Clone(s.calls.counts)
}

// CallsBy is Calls for one access key.
func (s *Service) CallsBy(accessKeyID string) map[string]int {
	counts := map[string]int{}
	for c, n := range s.Calls() {
		if c.AccessKeyID == accessKeyID {
			counts[c.Action] = n
		}
	}
	return counts
}

// ResetCalls starts counting anew.
func (s *Service) ResetCalls() {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	s.calls.counts = nil
}
