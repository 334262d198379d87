package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"go.yaml.in/yaml/v3"
)

// newHealthcheckCommand is for the container's own health check: the image has no shell and no
// curl.
func newHealthcheckCommand(app *kingpin.Application) command {
	cmd := app.Command("healthcheck", "Ask the worker on this host whether it is alive: exit 0 if it is, else 1. Takes run's web flags and their variables.")
	f := &webFlags{}
	f.register(cmd, ":9844")
	return command{cmd, func(ctx context.Context, stdout, _ io.Writer) error {
		url, err := f.url("/-/healthy")
		if err != nil {
			return err
		}
		return askHealth(ctx, url, stdout)
	}}
}

// url is where the worker with these flags answers on this host.
func (f *webFlags) url(path string) (string, error) {
	host, named, err := net.SplitHostPort(f.addresses[0])
	if err != nil {
		return "", usageError{fmt.Errorf("%s %s: %w", settingName("web.listen-address"), f.addresses[0], err)}
	}
	port, err := net.LookupPort("tcp", named) // a URL has no names for ports
	if err != nil {
		return "", usageError{fmt.Errorf("%s %s: %w", settingName("web.listen-address"), f.addresses[0], err)}
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	scheme := "http"
	if f.configFile != "" {
		text, err := os.ReadFile(f.configFile)
		if err != nil {
			return "", fmt.Errorf("%s: %w", settingName("web.config.file"), err)
		}
		var config struct {
			TLS map[string]any `yaml:"tls_server_config"`
		}
		if err := yaml.Unmarshal(text, &config); err != nil {
			return "", fmt.Errorf("%s %s: %w", settingName("web.config.file"), f.configFile, oneLine(err))
		}
		if len(config.TLS) > 0 {
			scheme = "https"
		}
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port)) + path, nil
}

// askHealth accepts 200, and 401: with basic authentication on, the refusal proves that the worker
// answers. So does a request for a client certificate. The server's certificate is not checked:
// this is the worker's own host, and the certificate is for the name that Prometheus uses.
func askHealth(ctx context.Context, url string, stdout io.Writer) error {
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		if strings.Contains(err.Error(), "tls: certificate required") || strings.Contains(err.Error(), "remote error: tls: bad certificate") {
			fmt.Fprintln(stdout, "alive (asks for a client certificate)")
			return nil
		}
		return fmt.Errorf("not alive: %w", err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		fmt.Fprintln(stdout, "alive")
	case http.StatusUnauthorized:
		fmt.Fprintln(stdout, "alive (asks for a password)")
	default:
		return fmt.Errorf("not alive: %s answers %s", url, response.Status)
	}
	return nil
}
