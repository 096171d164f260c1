package jetstream

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// serveNATS is the child process of the crash test: a server until it is killed.
func serveNATS(dir, port string) {
	n, err := strconv.Atoi(port)
	if err != nil {
		panic(err)
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: n, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: dir, JetStreamMaxStore: 1 << 30, JetStreamMaxMemory: 64 << 20,
	})
	if err != nil {
		panic(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		panic("nats-server does not start")
	}
	fmt.Printf("port %d\n", s.Addr().(*net.TCPAddr).Port)
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // ends when the parent is gone
}

// startProcess runs this test binary as a server process. kill is SIGKILL.
func startProcess(t *testing.T, dir string, port int) (listening int, kill func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "SHORTWIRE_TEST_NATS_DIR="+dir, "SHORTWIRE_TEST_NATS_PORT="+strconv.Itoa(port))
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("nats-server process: %v", err)
	}
	if _, err := fmt.Sscanf(strings.TrimSpace(line), "port %d", &listening); err != nil {
		t.Fatal(err)
	}
	return listening, kill
}

// Trap 7: a server that is killed right after acks may deliver those jobs
// again, as if for the first time. The source delivers whatever comes; nothing
// is lost. How many come back is the server's luck.
func TestAfterAServerCrashNothingIsLostAndAckedJobsMayComeBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	port, kill := startProcess(t, dir, -1)
	c := setUp(t, dial(t, fmt.Sprintf("nats://127.0.0.1:%d", port), ackWait(3*time.Second)))
	const n = 5000
	publishJobs(t, c, n)

	k := consume(t, c, 500)
	acked := map[string]bool{}
	for len(acked) < n/2 {
		d := k.next(t)
		acked[string(d.Data())] = true
		d.Ack()
	}
	if err := c.in.Flush(); err != nil { // the server has read the acks
		t.Fatal(err)
	}
	kill()
	_, _ = startProcess(t, dir, port)

	seen, back := map[string]bool{}, 0
	for len(seen) < n-len(acked) {
		d := k.next(t)
		id := string(d.Data())
		switch {
		case acked[id]:
			back++
			if d.Attempt() != 1 {
				t.Errorf("%s came back as attempt %d", id, d.Attempt())
			}
		default:
			seen[id] = true
		}
		d.Ack()
	}
	eventually(t, "the stream is empty", func() bool {
		for len(k.got) > 0 {
			back++
			(<-k.got).Ack()
		}
		return streamLen(t, c, "SMS_JOBS_ACME") == 0
	})
	t.Logf("%d of %d acked jobs came back after the crash", back, len(acked))
}
