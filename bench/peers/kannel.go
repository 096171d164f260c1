package peers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
)

// boxes are where Debian installs Kannel's programs: not in every user's PATH.
const boxes = "/usr/sbin"

// findBox finds one of Kannel's programs.
func findBox(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath(filepath.Join(boxes, name))
}

func kannelNeeds(context.Context) error {
	for _, name := range []string{"bearerbox", "smsbox"} {
		if _, err := findBox(name); err != nil {
			return fmt.Errorf("%s: %w\nhint: apt-get install kannel redis-server", name, err)
		}
	}
	return nil
}

// kannel is what the configuration says.
type kannel struct {
	Where
	dir                         string
	admin, boxPort, sendsmsPort int
}

func startKannel(ctx context.Context, r *rig.Rig, w Where) ([]*rig.Proc, error) {
	k := kannel{Where: w, dir: cmp.Or(w.Dir, r.Dir())}
	for _, port := range []*int{&k.admin, &k.boxPort, &k.sendsmsPort} {
		var err error
		if *port, err = rig.FreePort(); err != nil {
			return nil, err
		}
	}
	bridge, err := buildBridge(ctx, k.dir)
	if err != nil {
		return nil, err
	}
	conf, err := k.write()
	if err != nil {
		return nil, err
	}
	bearerbox, err := startBox(ctx, r, "bearerbox", conf, func(ctx context.Context) error { return k.online(ctx, "SMPP", w.Binds) })
	if err != nil {
		return nil, err
	}
	smsbox, err := startBox(ctx, r, "smsbox", conf, func(ctx context.Context) error { return k.online(ctx, "smsbox:", 1) })
	if err != nil {
		return nil, err
	}
	p, err := r.Start(bridgeName, nil, bridge, "-nats", w.NATS, "-slots", strconv.Itoa(w.Binds*w.Window),
		"-sendsms", fmt.Sprintf("http://127.0.0.1:%d/cgi-bin/sendsms", k.sendsmsPort), "-user", kannelUser,
		"-stream", load.Jobs, "-lane", "sms.jobs."+load.Route+".normal.*", "-smsc", load.Route, "-source", load.Source)
	if err != nil {
		return nil, err
	}
	if err := p.Ready(ctx, says(p, fmt.Sprintf("process %d consumes\n", p.PID()))); err != nil {
		return nil, err
	}
	return []*rig.Proc{smsbox, bearerbox, p}, nil
}

func startBox(ctx context.Context, r *rig.Rig, name, conf string, ready func(context.Context) error) (*rig.Proc, error) {
	program, err := findBox(name)
	if err != nil {
		return nil, err
	}
	p, err := r.Start(name, nil, program, "-v", "2", conf) // warnings and worse
	if err != nil {
		return nil, err
	}
	return p, p.Ready(ctx, ready)
}

// buildBridge compiles the bridge into dir.
func buildBridge(ctx context.Context, dir string) (string, error) {
	root, err := rig.ModuleRoot(ctx)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, bridgeName)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "./bench/peers/bridge")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the bridge: %w\n%s", err, out)
	}
	return path, nil
}

// online checks, by bearerbox's status page, that so many lines with a word in
// them say that what they name is online.
func (k *kannel) online(ctx context.Context, what string, want int) error {
	url := fmt.Sprintf("http://127.0.0.1:%d/status.txt?password=%s", k.admin, kannelUser)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	page, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	n := 0
	for line := range strings.Lines(string(page)) {
		if strings.Contains(line, what) && (strings.Contains(line, "online") || strings.Contains(line, "on-line")) {
			n++
		}
	}
	if n < want {
		return fmt.Errorf("%d of %d %s online", n, want, what)
	}
	return nil
}

// write writes the configuration, which both boxes read.
func (k *kannel) write() (string, error) {
	smsc, smscPort, err := net.SplitHostPort(k.SMSC)
	if err != nil {
		return "", fmt.Errorf("address of the SMSC: %w", err)
	}
	redis, redisPort, err := net.SplitHostPort(k.Redis)
	if err != nil {
		return "", fmt.Errorf("address of Redis: %w", err)
	}
	conf := strings.NewReplacer(
		"ADMIN", strconv.Itoa(k.admin), "BOX", strconv.Itoa(k.boxPort), "SENDSMS", strconv.Itoa(k.sendsmsPort), "USER", kannelUser,
		"SMSC_HOST", smsc, "SMSC_PORT", smscPort, "REDIS_HOST", redis, "REDIS_PORT", redisPort,
		"BINDS", strconv.Itoa(k.Binds), "WINDOW", strconv.Itoa(k.Window), "SYSTEM_ID", k.SystemID, "PASSWORD", k.Password, "ROUTE", load.Route,
	).Replace(kannelConf)
	path := filepath.Join(k.dir, "kannel.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return "", fmt.Errorf("write configuration: %w", err)
	}
	return path, nil
}

// kannelUser is user and password within the rig.
const kannelUser = "bench"

// kannelConf has upper-case words for what write fills in. Kannel accepts
// comments at the beginning of a line only.
const kannelConf = `group = core
admin-port = ADMIN
admin-password = USER
admin-allow-ip = 127.0.0.1
smsbox-port = BOX
box-allow-ip = 127.0.0.1
dlr-storage = redis

# As many transceivers as instances, all under one smsc-id.
group = smsc
smsc = smpp
smsc-id = ROUTE
host = SMSC_HOST
port = SMSC_PORT
smsc-username = SYSTEM_ID
smsc-password = PASSWORD
system-type = ""
transceiver-mode = true
instances = BINDS
max-pending-submits = WINDOW
source-addr-ton = 5
source-addr-npi = 0
source-addr-autodetect = false
dest-addr-ton = 1
dest-addr-npi = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = SENDSMS
# dlr-url requests at a time. smsbox polls all their connections in every turn:
# with the default of 512 it takes half as much CPU time again.
max-pending-requests = 64

group = sendsms-user
username = USER
password = USER
user-allow-ip = 127.0.0.1
max-messages = 1

group = redis-connection
id = dlr
host = REDIS_HOST
port = REDIS_PORT
max-connections = BINDS

group = dlr-db
id = dlr
table = dlr
ttl = 691200
field-smsc = smsc
field-timestamp = ts
field-source = source
field-destination = destination
field-service = service
field-url = url
field-mask = mask
field-status = status
field-boxc-id = boxc
`
