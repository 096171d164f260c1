//go:build page

package app_test

import (
	"bytes"
	"cmp"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// chromiumNames are where it is looked for, unless CHROMIUM says.
var chromiumNames = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// pageNeeds returns node and a Chromium, or skips the test and says why.
func pageNeeds(t *testing.T) (node, chromium string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("skip: needs Node.js 20 or later (apt-get install nodejs npm)")
	}
	if _, err := os.Stat("testdata/page/node_modules/playwright-core"); err != nil {
		t.Skip("skip: needs playwright-core (cd dispatcher/app/testdata/page && npm ci; make page does)")
	}
	if chromium = os.Getenv("CHROMIUM"); chromium != "" {
		return node, chromium
	}
	for _, name := range chromiumNames {
		if path, err := exec.LookPath(name); err == nil {
			return node, path
		}
	}
	t.Skip("skip: needs Chromium (apt-get install chromium), or its path in CHROMIUM")
	return "", ""
}

func TestTheStatusPageWorksInABrowser(t *testing.T) {
	t.Parallel()
	node, chromium := pageNeeds(t)
	shots := cmp.Or(os.Getenv("SCREENSHOTS"), t.TempDir())
	if err := os.MkdirAll(shots, 0o755); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, smsctest.Config{
		Latency: 20 * time.Millisecond, Jitter: 60 * time.Millisecond,
		Receipts: smsctest.ReceiptConfig{Delay: 200 * time.Millisecond, Jitter: 600 * time.Millisecond},
		OnSubmit: func(m *smsctest.Submit) (a smsctest.Action) {
			if m.Destination == "447700900404" {
				a.Status = smsctest.RINVDSTADR
			}
			return a
		},
	}, "    rate: 300\n    burst: 30\n")
	r.Worker("w1")
	r.Worker("w2")
	apptest.Until(t, "it is bound", func() bool { b := r.Route().Binds; return len(b) > 0 && b[0].State == "bound" })

	over := make(chan struct{})
	var feeder sync.WaitGroup
	feeder.Go(func() { feed(r, over) })
	script, err := filepath.Abs("testdata/page/page.mjs")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, script, r.AdminURL()+"/", shots, chromium)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err = cmd.Run()
	close(over)
	feeder.Wait()
	if err != nil {
		t.Errorf("%v\n%s", err, &said)
	}
	t.Logf("screenshots: %s", shots)
}

func TestThePageAsksForATokenInABrowserOfAnotherMachine(t *testing.T) {
	t.Parallel()
	node, chromium := pageNeeds(t)
	shots := cmp.Or(os.Getenv("SCREENSHOTS"), t.TempDir())
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret"}, "")
	cfg := r.Config("w1")
	cfg.Admin.Token, cfg.Admin.ReadToken = "token-that-changes", "token-that-reads"
	w := runApp(t, cfg, app.Deps{Logger: slog.New(slog.DiscardHandler)})
	at, err := url.Parse(w.AdminURL(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	// A proxy, which says whom it asks for: so nothing comes from this machine.
	proxy := httptest.NewServer(httputil.NewSingleHostReverseProxy(at))
	defer proxy.Close()
	script, err := filepath.Abs("testdata/page/token.mjs")
	if err != nil {
		t.Fatal(err)
	}
	said, err := exec.CommandContext(t.Context(), node, script, proxy.URL+"/", shots, chromium, "token-that-reads", "token-that-changes").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

// feed publishes jobs in all lanes, some of them faulty, faster than the rate.
func feed(r *rig, over <-chan struct{}) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		for lane, n := range map[sms.Lane]int{sms.LaneHigh: 10, sms.LaneNormal: 40, sms.LaneBulk: 150} {
			r.lane(lane, fmt.Sprintf("%s-%d", lane, i), n)
		}
		r.Publish(
			fmt.Sprintf(`{"id":"nobody-%d","to":"447700900404","text":"private words"}`, i),
			fmt.Sprintf(`{"id":"wrong-%d","to":"447700900404","text":"private words","priorty":1}`, i))
		select {
		case <-over:
			return
		case <-tick.C:
		}
	}
}
