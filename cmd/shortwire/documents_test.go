package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

// documents are those whose commands, snippets and links are checked.
var documents = []string{
	"README.md", "ARCHITECTURE.md", "CHANGELOG.md", "deploy/OPERATIONS.md", "deploy/SCALING.md", "deploy/METRICS.md", "deploy/CODES.md",
	"deploy/examples/README.md", "deploy/redis/README.md", "binds/STATUS.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md",
}

// elsewhere are commands of the documents that are not run here, by what they
// begin with, and why. The longest that fits counts.
var elsewhere = map[string]string{
	"make ":                              "the target is looked for; .ci/run and the workflows run it",
	"bin/shortwire run ":                 "a worker runs all the while",
	"go run ./bench/fleet":               "takes minutes; make fleet runs the same",
	"go run ./deploy/examples/consumer":  "its own tests run it",
	"go run ./deploy/examples/producer":  "deploy/examples runs it",
	"cd deploy/examples/node ":           "deploy/examples runs it",
	"python3 deploy/examples/python/":    "deploy/examples runs it; where nats-py is not installed, on a stand-in that speaks NATS' protocol",
	"deploy/examples/cli/":               "deploy/examples runs it",
	"sed \"s/@REDIS_PASSWORD_SHA256@/":   "dispatcher/app fills the file in, and has a whole worker run with it",
	"redis-server --aclfile ":            "likewise",
	"tcpdump ":                           "needs a capture; testdata/cli/decode.txt reads such",
	"nats stream ":                       "another project's program",
	"helm install ":                      "needs a cluster; deploy/check renders the chart",
	"docker compose ":                    "needs docker; the workflow runs it",
	"curl -X DELETE http://127.0.0.1:80": "testdata/live/trace.txt ends traces",
}

// document is a file in Markdown.
type document struct {
	name   string
	text   string
	blocks []block
}

// block is a fenced block.
type block struct {
	line int
	lang string
	text string
}

var (
	fence    = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```")
	inline   = regexp.MustCompile("`([^`\n]+(?:\n[^`\n]+)?)`")
	docLink  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	noAnchor = regexp.MustCompile(`[^a-z0-9 _-]`)
)

func read(t *testing.T, name string) document {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	d := document{name: name, text: string(data)}
	for _, m := range fence.FindAllStringSubmatchIndex(d.text, -1) {
		d.blocks = append(d.blocks, block{1 + strings.Count(d.text[:m[0]], "\n"), d.text[m[2]:m[3]], d.text[m[4]:m[5]]})
	}
	return d
}

// inProse calls check for what the first group of form matches outside blocks.
func inProse(t *testing.T, form *regexp.Regexp, check func(document, text string)) {
	t.Helper()
	for _, name := range documents {
		for _, m := range form.FindAllStringSubmatch(fence.ReplaceAllString(read(t, name).text, ""), -1) {
			check(name, m[1])
		}
	}
}

// commands are the lines of the sh blocks without their comments.
func (d *document) commands() []string {
	var all []string
	for _, b := range d.blocks {
		if b.lang != "sh" {
			continue
		}
		for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", " ")) {
			command, _, _ := strings.Cut(line, "  #")
			command, _, _ = strings.Cut(command, "   # ")
			if command = strings.TrimSpace(command); command != "" && !strings.HasPrefix(command, "#") {
				all = append(all, command)
			}
		}
	}
	return all
}

// reason says why a command is not run here, empty when it is.
func reason(command string) (prefix, why string) {
	for p, w := range elsewhere {
		if strings.HasPrefix(command, p) && len(p) > len(prefix) {
			prefix, why = p, w
		}
	}
	return prefix, why
}

func TestCommandsOfTheDocumentsDoWhatTheySay(t *testing.T) {
	t.Parallel()
	stage := newStage(t)
	used := make(map[string]bool)
	for _, name := range documents {
		d := read(t, name)
		for _, command := range d.commands() {
			prefix, why := reason(command)
			used[prefix] = true
			target, isMake := strings.CutPrefix(command, "make ")
			switch {
			case isMake:
				checkTarget(t, name, target)
			case why != "":
				t.Logf("%s: not run here: %s (%s)", name, command, why)
			case strings.HasPrefix(command, "go run ./deploy/scaling"):
				stage.run(t, name, "../..", command)
			case strings.HasPrefix(command, "shortwire "), strings.HasPrefix(command, "bin/shortwire "):
				checkUsage(t, name, strings.TrimPrefix(command, "bin/"))
				stage.run(t, name, stage.dir, command)
			default:
				t.Errorf("%s: nobody knows how to check %q: run it here, or say in elsewhere why not", name, command)
			}
		}
	}
	for prefix, why := range elsewhere {
		if !used[prefix] && !stage.mentioned(t, prefix) {
			t.Errorf("no document has %q (%s) any more", prefix, why)
		}
	}
}

// stage is what the commands are run against: a worker and all that it needs.
type stage struct {
	dir   string // with shortwire.yaml and bin/shortwire
	fill  *strings.Replacer
	admin string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	dir := t.TempDir()
	nats, err := startNATS(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nats.Shutdown(); nats.WaitForShutdown() })
	_, addr := apptest.SMSC(t, smsctest.Config{SystemID: "acme", Password: "secret", Magic: true})
	admin, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{dir: dir, admin: admin, fill: strings.NewReplacer("127.0.0.1:8080", admin)}
	yaml := fmt.Sprintf("nats: {url: %q}\nredis: {url: %q}\nadmin: {listen: %q}\nroutes:\n  - {name: acme, endpoints: [%q], system_id: acme, password_env: ACME_PASSWORD, source: {address: ACME}}\n",
		nats.ClientURL(), redistest.Start(t).URL(), admin, addr)
	program, err := exec.LookPath("shortwire") // this test as the program
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(dir, "shortwire.yaml"), []byte(yaml), 0o600), os.Mkdir(filepath.Join(dir, "bin"), 0o700),
			os.Symlink(program, filepath.Join(dir, "bin", "shortwire")))
	}
	if err != nil {
		t.Fatal(err)
	}
	s.run(t, "set-up", dir, "shortwire setup")
	s.start(t, "shortwire run")
	return s
}

// start runs a command until the test ends.
func (s *stage) start(t *testing.T, command string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := s.command(ctx, s.dir, command)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() { cancel(); _ = cmd.Wait() })
	t.Cleanup(func() {
		end()
		if t.Failed() {
			t.Logf("%s:\n%s", command, out.String())
		}
	})
}

func (s *stage) command(ctx context.Context, dir, command string) *exec.Cmd {
	command = s.fill.Replace(command)
	for _, asks := range []string{"shortwire status", "shortwire trace"} {
		if strings.Contains(command, asks) && !strings.Contains(command, "--admin") {
			command += " --admin " + s.admin
		}
	}
	cmd := exec.CommandContext(ctx, "bash", "-c", "exec "+command)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "ACME_PASSWORD=secret", "PATH="+filepath.Join(s.dir, "bin")+":"+os.Getenv("PATH"))
	return cmd
}

// run runs a command to its end. Those that have none are ended after a while
// and must not have failed before.
func (s *stage) run(t *testing.T, document, dir, command string) {
	t.Helper()
	endless := strings.Contains(command, "shortwire tail") && !strings.Contains(command, "--count") ||
		strings.Contains(command, "--watch") || strings.Contains(command, "--for 1m")
	timeout := time.Minute
	if endless {
		timeout = time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	var exit *exec.ExitError
	deadline := time.Now().Add(time.Minute)
	for {
		out, err := s.command(ctx, dir, command).CombinedOutput()
		switch {
		case err == nil, endless && ctx.Err() != nil:
			return
		case errors.As(err, &exit) && exit.ExitCode() == exitDependency && strings.Contains(string(out), "worker:") && time.Now().Before(deadline):
			continue // the worker has just been started
		}
		t.Errorf("%s: %s: %v\n%s", document, command, err, out)
		return
	}
}

// mentioned reports whether a document has the text at all, in prose perhaps.
func (*stage) mentioned(t *testing.T, text string) bool {
	return slices.ContainsFunc(documents, func(name string) bool { return strings.Contains(read(t, name).text, text) })
}

var makeTargets = sync.OnceValues(func() (string, error) {
	data, err := os.ReadFile("../../Makefile")
	return string(data), err
})

// checkTarget looks for a target of the Makefile.
func checkTarget(t *testing.T, document, words string) {
	t.Helper()
	makefile, err := makeTargets()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range strings.Fields(words) {
		if strings.Contains(w, "=") {
			return // variables, with blanks in them perhaps
		}
		if !strings.Contains(makefile, "\n"+w+": ") {
			t.Errorf("%s: make has no target %s", document, w)
		}
	}
}

// checkUsage looks for the command and its flags, and runs nothing.
func checkUsage(t *testing.T, document, command string) {
	t.Helper()
	root := (&program{}).root()
	cmd, rest, err := root.Find(strings.Fields(command)[1:])
	if err != nil {
		t.Errorf("%s: %q: %v", document, command, err)
		return
	}
	for _, w := range rest {
		name, isFlag := strings.CutPrefix(w, "--")
		name, _, _ = strings.Cut(name, "=")
		if isFlag && cmd.Flags().Lookup(name) == nil && !slices.Contains([]string{"help"}, name) {
			var known []string
			cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
			t.Errorf("%s: %q: no flag --%s, but %v", document, command, name, known)
		}
	}
}

func TestCommandsInTheTextOfTheDocumentsExist(t *testing.T) {
	t.Parallel()
	found := 0
	inProse(t, inline, func(name, text string) {
		command := strings.Join(strings.Fields(text), " ")
		switch {
		case strings.Contains(command, "…"):
		case strings.HasPrefix(command, "shortwire "):
			checkUsage(t, name, command)
		case strings.HasPrefix(command, "make "):
			checkTarget(t, name, strings.TrimPrefix(command, "make "))
		case strings.HasPrefix(command, "go run ./"):
			folder := strings.Fields(command)[2]
			if _, err := os.Stat(filepath.Join("../..", folder)); err != nil {
				t.Errorf("%s: %q: %v", name, command, err)
			}
		default:
			return
		}
		found++
	})
	if found < 50 {
		t.Errorf("%d commands found in the text, want them all", found)
	}
}
