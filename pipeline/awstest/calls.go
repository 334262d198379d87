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

func (l *callLog) all() map[Call]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}

func (l *callLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts = nil
}
