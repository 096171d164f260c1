package admin

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strings"
)

// page is the status page: one file that needs no other, and no other server.
//
//go:embed page/index.html
var page []byte

// pagePolicy lets the page run its own script and style, ask this server, and
// nothing else, whatever may come to stand in what it shows.
var pagePolicy = strings.Join([]string{
	"default-src 'none'",
	"script-src " + sourceHash("<script>", "</script>"),
	"style-src " + sourceHash("<style>", "</style>"),
	"img-src data:",
	"connect-src 'self'",
	"base-uri 'none'",
	"form-action 'none'",
	"frame-ancestors 'none'",
}, "; ")

// sourceHash is the hash of what stands between two tags of the page (CSP 3 §2.3.1).
func sourceHash(begin, end string) string {
	_, after, _ := bytes.Cut(page, []byte(begin))
	body, _, _ := bytes.Cut(after, []byte(end))
	sum := sha256.Sum256(body)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// index answers with the status page.
func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	_, _ = w.Write(page) // a reader that left needs no answer
}
