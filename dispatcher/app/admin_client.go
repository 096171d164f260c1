package app

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// AdminAt is a worker's admin server, and by what a command is known to it.
type AdminAt struct {
	URL   string      // http://host:port, or https
	Token Secret      // shown as Authorization: Bearer; empty means none
	TLS   *tls.Config // of https; nil means the defaults
}

// Identify reads the files that say by what the command is known, and how the
// server is; each may be empty.
func (a *AdminAt) Identify(tokenFile, caFile, certFile, keyFile string) error {
	if tokenFile != "" {
		data, err := os.ReadFile(tokenFile)
		if err != nil {
			return fmt.Errorf("--token-file: %s cannot be read: %s", tokenFile, fileProblem(err))
		}
		a.Token = Secret(withoutLineEnd(data))
	}
	files := ClientTLSConfig{CAFile: caFile, CertFile: certFile, KeyFile: keyFile}
	switch {
	case !files.given():
		return nil
	case (certFile == "") != (keyFile == ""):
		return errors.New("--cert-file and --key-file: must be given together")
	}
	var err error
	if a.TLS, err = files.client(); err != nil {
		return fmt.Errorf("--%s", strings.Replace(err.Error(), "_file: ", "-file: ", 1))
	}
	return nil
}

// Notice says that others may read the token on its way, or nothing.
func (a *AdminAt) Notice() string {
	at, err := url.Parse(a.URL)
	if err != nil || a.Token == "" || at.Scheme != "http" || thisMachine(at.Hostname()) {
		return ""
	}
	return "the token goes to " + at.Host + " over plain HTTP, which others on the way can read: name an https URL with --admin (admin.tls on the worker), or go through a tunnel to 127.0.0.1"
}

// maxStatusOctets bounds what is read of an answer.
const maxStatusOctets = 64 << 20

// ask sends a request. The error is a *DependencyError when nothing answers,
// when what answers asks for a token, or when it is no worker.
func (a AdminAt) ask(ctx context.Context, method string, query url.Values, path ...string) (*http.Response, error) {
	at, err := url.JoinPath(a.URL, path...)
	if err != nil {
		return nil, fmt.Errorf("admin URL: %w", err)
	}
	if len(query) > 0 {
		at += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, at, nil)
	if err != nil {
		return nil, fmt.Errorf("admin URL: %w", err)
	}
	return a.do(req)
}

func (a AdminAt) do(req *http.Request) (*http.Response, error) {
	client := http.DefaultClient
	if a.TLS != nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig, transport.DisableKeepAlives = a.TLS, true
		client = &http.Client{Transport: transport}
	}
	if a.Token != "" {
		req.Header.Set("Authorization", "Bearer "+string(a.Token))
	}
	resp, err := client.Do(req)
	if err != nil {
		hint := "is it running, and is this its admin.listen? Name another with --admin URL"
		if certificate := new(tls.CertificateVerificationError); errors.As(err, &certificate) {
			hint = "name the authority of its certificate with --ca-file"
		}
		return nil, &DependencyError{What: "worker", Err: fmt.Errorf("nothing answers at %s: %w", a.URL, cause(err)), Hint: hint}
	}
	if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden {
		return resp, nil
	}
	defer resp.Body.Close()
	why, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	return nil, &DependencyError{What: "worker", Err: fmt.Errorf("the worker at %s refuses: %s", a.URL, strings.TrimSpace(string(why))),
		Hint: "show its token with --token-file FILE or SHORTWIRE_TOKEN, or a certificate with --cert-file and --key-file"}
}

// FetchStatus asks a worker how it is. The error is a *DependencyError when
// nothing answers there.
func FetchStatus(ctx context.Context, at AdminAt) (*Status, error) {
	return fetch(ctx, at, "status", func(s *Status) bool { return s.Worker != "" })
}

// FetchFleet asks a worker how all workers are. The error is a
// *DependencyError when nothing answers there.
func FetchFleet(ctx context.Context, at AdminAt) (*FleetStatus, error) {
	return fetch(ctx, at, "fleet", func(f *FleetStatus) bool { return f.Asked != "" })
}

// fetch reads JSON from an admin server.
func fetch[T any](ctx context.Context, at AdminAt, path string, valid func(*T) bool) (*T, error) {
	resp, err := at.ask(ctx, http.MethodGet, nil, path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxStatusOctets))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	v := new(T)
	if resp.StatusCode != http.StatusOK || json.Unmarshal(body, v) != nil || !valid(v) {
		return nil, &DependencyError{What: "worker", Err: fmt.Errorf("what answers at %s is no shortwire worker (%s)", at.URL, resp.Status),
			Hint: "name the worker's admin.listen with --admin URL"}
	}
	return v, nil
}
