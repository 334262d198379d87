package awstest

import (
	"bytes"
	"encoding/json"
	"net/http"

	"rootwatch/pipeline/awstest/wire"
)

// html is an answer that no client of AWS expects.
type html string

const webPage html = "<!DOCTYPE html>\n<html><head><title>Sign in to the network</title></head><body>Please sign in.</body></html>\n"

// direct has the service give an answer that it would not give by itself.
func (r *request) direct(effect Effect) {
	switch effect {
	case Empty:
		r.Empty = true
	case Stale:
		r.Stale = true
	case Short:
		r.Short = true
	case NoIterator:
		r.NoIterator = true
	case Backwards:
		r.Backwards = true
	case ConditionFails, ConditionFailsBare:
		r.ConditionFails, r.WithoutItem = true, effect == ConditionFailsBare
	}
}

// spoil is what becomes of the answer of a call that was carried out.
func (r *request) spoil(out any, err error, in *Injection, effect Effect) (any, error) {
	switch effect {
	case FailAfter:
		discard(out)
		return nil, r.protocol.fail()
	case DropAfter, Late:
		discard(out)
		cut()
	case Blank:
		if err == nil {
			discard(out)
			return struct{}{}, nil
		}
	case Truncated:
		r.truncated = true
	case HalfOpen:
		r.stalled = in
	}
	return out, err
}

// hang answers nothing until the client gives up or the fault is removed, and cuts the connection.
func (r *request) hang(in *Injection) {
	select {
	case <-r.ctx.Done():
	case <-in.removed:
	}
	cut()
}

// stall sends the first half of a body whose header is sent, and hangs. A writer that cannot be
// flushed has no connection behind it: its client sees no answer at all.
func (r *request) stall(w http.ResponseWriter, b []byte) {
	_, _ = w.Write(b[:len(b)/2]) // a client that has gone away cannot be told
	_ = http.NewResponseController(w).Flush()
	r.hang(r.stalled)
}

// reader is who reads a shard.
type reader struct{ accessKeyID, shard string }

// remembered is the last answer of a GetRecords, and the iterator that it gave.
type remembered struct {
	next string
	body []byte
}

// remember keeps the answer of a GetRecords if a fault in force may have it repeated.
func (fs *faultSet) remember(r *request, out any) {
	body, ok := out.(*wire.Body)
	if !ok || r.Operation != "GetRecords" {
		return
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, in := range fs.all {
		if in.fault.Effect != Repeat || !in.fault.matches(r) {
			continue
		}
		if in.last == nil {
			in.last = map[reader]remembered{}
		}
		var answer struct{ NextShardIterator string }
		if err := json.Unmarshal(body.B, &answer); err != nil { // this package has written it
			panic(err)
		}
		in.last[r.reader()] = remembered{answer.NextShardIterator, bytes.Clone(body.B)}
	}
}

// before is the answer that gave the caller the iterator which it now uses; nil if none is
// remembered.
func (in *Injection) before(r *request) any {
	in.set.mu.Lock()
	defer in.set.mu.Unlock()
	var asked struct{ ShardIterator string }
	_ = json.Unmarshal(r.Body, &asked) // a request that cannot be read has no iterator: it will be refused soon
	last := in.last[r.reader()]
	if last.body == nil || last.next != asked.ShardIterator {
		return nil
	}
	out := wire.TakeBody()
	out.B = append(out.B, last.body...)
	return out
}

// reader is who makes a GetRecords, and of which shard; the last id that the request names is its
// iterator's.
func (r *request) reader() reader {
	shards := r.subject().Shards
	return reader{r.accessKeyID, shards[len(shards)-1]}
}
