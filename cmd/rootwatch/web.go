package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/net/netutil"
)

// The web server's limits: whoever reaches its port must not be able to take the worker's memory.
const (
	readTimeout    = 10 * time.Second // of a request, and of a TLS handshake
	writeTimeout   = 15 * time.Second // of an answer; Prometheus gives a scrape up after 10 s
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
	maxConnections = 256 // on each address; what is beyond waits until one ends
	maxStreams     = 4   // of HTTP/2, on each connection
)

// webFlags are the flags of the HTTP side, named as every exporter names them.
type webFlags struct {
	addresses  []string
	configFile string
}

func (f *webFlags) register(cmd *kingpin.CmdClause, address string) {
	cmd.Flag("web.listen-address", "Address for /metrics, /-/healthy and /-/ready. Repeatable.").Default(address).
		SetValue(&checkedList{listFlag{&f.addresses}, "web.listen-address", "host:port or :port", checkAddress, true})
	cmd.Flag("web.config.file", "File that turns on TLS or basic authentication, in the format of the Prometheus exporter toolkit.").PlaceHolder("FILE").StringVar(&f.configFile)
}

// webServer is bound, but answers only once serve is called.
type webServer struct {
	flags     *webFlags
	listeners []net.Listener
	http      *http.Server
	log       *slog.Logger
}

func (f *webFlags) checkConfig() error {
	if err := web.Validate(f.configFile); err != nil {
		return usageError{fmt.Errorf("%s %s: %w", settingName("web.config.file"), f.configFile, oneLine(err))}
	}
	return nil
}

// listen checks the web configuration and binds the addresses, so that a wrong one ends the program
// before the stream is touched.
func (f *webFlags) listen(gatherer prometheus.Gatherer, ready func() error, log *slog.Logger) (*webServer, error) {
	if err := f.checkConfig(); err != nil {
		return nil, err
	}
	handler, err := f.handler(gatherer, ready)
	if err != nil {
		return nil, err
	}
	s := &webServer{flags: f, log: log, http: &http.Server{
		Handler: handler, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams}, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}
	for _, address := range f.addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			s.close()
			return nil, usageError{fmt.Errorf("%s %s: %w", settingName("web.listen-address"), address, err)}
		}
		s.listeners = append(s.listeners, netutil.LimitListener(l, maxConnections))
	}
	return s, nil
}

func (f *webFlags) handler(gatherer prometheus.Gatherer, ready func() error) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.Handle("/metrics", newScrapes(gatherer))
	mux.HandleFunc("/-/healthy", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "rootwatch is alive.\n") //nolint:errcheck // the asker has gone
	})
	mux.HandleFunc("/-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			http.Error(w, "Not watching: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "rootwatch is watching.\n") //nolint:errcheck // the asker has gone
	})
	landing, err := web.NewLandingPage(web.LandingConfig{
		Name:        "rootwatch",
		Description: "Watches the use of AWS root credentials",
		Version:     version.Info(),
		Profiling:   "false",
		Links: []web.LandingLinks{
			{Address: "/metrics", Text: "Metrics"},
			{Address: "/-/ready", Text: "Ready", Description: "leases held, or none to take, each shard answered of late, and nothing is stuck"},
			{Address: "/-/healthy", Text: "Healthy", Description: "the process answers"},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("making the landing page: %w", err)
	}
	mux.Handle("/{$}", landing)
	return mux, nil
}

// serve answers until close; it returns nil then.
func (s *webServer) serve() error {
	no := false
	err := web.ServeMultiple(s.listeners, s.http, &web.FlagConfig{WebListenAddresses: &s.flags.addresses, WebSystemdSocket: &no, WebConfigFile: &s.flags.configFile}, s.log)
	if err == nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("web server: %w", err)
}

// close lets scrapes in progress finish, for a second.
func (s *webServer) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
	for _, l := range s.listeners {
		l.Close()
	}
}
