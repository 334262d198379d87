package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/pipeline"
)

// The worker's stream is there and quiet: nothing but the web server's end can end it.
func TestAWebServerThatFailsStopsTheWorker(t *testing.T) {
	t.Parallel()
	server, _ := testStream(t, 1)
	f := &runFlags{
		stream: "trail", application: "rootwatch", ledgerTable: "rootwatch" + ledgerSuffix, start: start{mode: trimHorizon},
		pollInterval: time.Second, leaseDuration: time.Minute, checkpointInterval: time.Second,
		maxRecords: 1000, fetchMemory: 64 << 20, shutdownTimeout: 10 * time.Second, web: webFlags{addresses: []string{"127.0.0.1:0"}},
	}
	log, registry := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	w, err := f.newWorker(server.AWSConfig("worker"), log, registry, []pipeline.Sink{pipeline.NewLogSink(log)})
	if err != nil {
		t.Fatal(err)
	}
	web, err := f.web.listen(registry, w.ready, log)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- runActors(t.Context(), w, web) }()
	eventually(t, 30*time.Second, "the worker reads its shard", func() bool { return w.source.Ready() == nil })
	web.listeners[0].Close()
	select {
	case err := <-ended:
		if err == nil || !strings.HasPrefix(err.Error(), "web server: ") {
			t.Errorf("it ends with %v, want the web server's error", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the worker goes on without its web server")
	}
}
