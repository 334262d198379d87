package awstest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// injected is a fault in force, over HTTP.
type injected struct {
	ID    uint64 `json:"id"`
	Fault Fault  `json:"fault"`
	Hits  int    `json:"hits"`
}

// counted is a recorded call, over HTTP.
type counted struct {
	Action      string `json:"action"`
	AccessKeyID string `json:"accessKeyId"`
	Count       int    `json:"count"`
}

// adminMux answers
//
//	GET, POST, DELETE /_rootwatch/faults       list, inject one, remove all
//	DELETE            /_rootwatch/faults/{id}  remove one
//	GET, DELETE       /_rootwatch/calls        recorded calls, forget them
//	POST              /_rootwatch/iterators/expire
//	POST              /_rootwatch/streams/{name}/trim
func (s *Service) adminMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_rootwatch/faults", func(w http.ResponseWriter, _ *http.Request) {
		list := []injected{}
		for _, in := range s.faults.list() {
			list = append(list, injected{in.id, in.fault, in.Hits()})
		}
		reply(w, list)
	})
	mux.HandleFunc("POST /_rootwatch/faults", s.adminInject)
	mux.HandleFunc("DELETE /_rootwatch/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /_rootwatch/faults/{id}", s.adminRemove)
	mux.HandleFunc("GET /_rootwatch/calls", func(w http.ResponseWriter, _ *http.Request) {
		list := []counted{}
		for c, n := range s.Calls() {
			list = append(list, counted{c.Action, c.AccessKeyID, n})
		}
		reply(w, list)
	})
	mux.HandleFunc("DELETE /_rootwatch/calls", func(w http.ResponseWriter, _ *http.Request) {
		s.ResetCalls()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /_rootwatch/iterators/expire", func(w http.ResponseWriter, _ *http.Request) {
		s.ExpireIterators()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /_rootwatch/streams/{name}/trim", func(w http.ResponseWriter, r *http.Request) {
		if err := s.Trim(r.PathValue("name")); err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// A client that has gone away cannot be told.
	_ = json.NewEncoder(w).Encode(v)
}

func (s *Service) adminInject(w http.ResponseWriter, r *http.Request) {
	var f Fault
	dec := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
	if err := dec.Decode(&f); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	in, err := s.faults.inject(f)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply(w, injected{ID: in.id, Fault: f})
}

func (s *Service) adminRemove(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		http.Error(w, "the id of a fault is a number", http.StatusBadRequest)
		return
	}
	if !s.faults.removeID(id) {
		http.Error(w, fmt.Sprintf("there never was a fault %d", id), http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// Admin does to a server in another process what the methods of [Service] do to one in this. The
// server must have been made with Options.Admin.
type Admin struct {
	URL string // as Server.URL
}

// Inject puts a fault in force and gives its id.
func (a Admin) Inject(ctx context.Context, f Fault) (id uint64, err error) {
	var out injected
	err = a.call(ctx, http.MethodPost, "faults", f, &out)
	return out.ID, err
}

// Remove ends a fault. As with [Injection.Remove] it may have ended before; an id that Inject has
// not given is an error.
func (a Admin) Remove(ctx context.Context, id uint64) error {
	return a.call(ctx, http.MethodDelete, fmt.Sprintf("faults/%d", id), nil, nil)
}

// ClearFaults removes all faults.
func (a Admin) ClearFaults(ctx context.Context) error {
	return a.call(ctx, http.MethodDelete, "faults", nil, nil)
}

// Calls is [Service.Calls].
func (a Admin) Calls(ctx context.Context) (map[Call]int, error) {
	var list []counted
	if err := a.call(ctx, http.MethodGet, "calls", nil, &list); err != nil {
		return nil, err
	}
	calls := map[Call]int{}
	for _, c := range list {
		calls[Call{c.Action, c.AccessKeyID}] = c.Count
	}
	return calls, nil
}

// ResetCalls is [Service.ResetCalls].
func (a Admin) ResetCalls(ctx context.Context) error {
	return a.call(ctx, http.MethodDelete, "calls", nil, nil)
}

// ExpireIterators is [Service.ExpireIterators].
func (a Admin) ExpireIterators(ctx context.Context) error {
	return a.call(ctx, http.MethodPost, "iterators/expire", nil, nil)
}

// Trim is [Service.Trim].
func (a Admin) Trim(ctx context.Context, streamName string) error {
	return a.call(ctx, http.MethodPost, "streams/"+url.PathEscape(streamName)+"/trim", nil, nil)
}

func (a Admin) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.URL+adminPath+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err // has the method and the URL in it
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: reading the answer: %w", method, path, err)
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, strings.TrimSpace(string(b)))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}
