package check

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

// project reads the compose file as Compose does, by its schema and with every
// reference resolved.
func project(t *testing.T) *types.Project {
	t.Helper()
	dir, err := filepath.Abs("../compose")
	if err != nil {
		t.Fatal(err)
	}
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: dir, ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml")}}, Environment: types.Mapping{},
	}, func(o *loader.Options) { o.Profiles = []string{"*"} })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheComposeFileStartsEverythingInOrder(t *testing.T) {
	t.Parallel()
	p := project(t)
	for _, name := range []string{"nats", "redis", "smsc", "setup", "worker", "prometheus", "grafana"} {
		if _, err := p.GetService(name); err != nil {
			t.Error(err)
		}
	}
	for name, s := range p.Services {
		for on, how := range s.DependsOn {
			if how.Condition == types.ServiceConditionHealthy && p.Services[on].HealthCheck == nil {
				t.Errorf("%s waits for the health of %s, which has no healthcheck", name, on)
			}
		}
		for _, v := range s.Volumes {
			if _, err := os.Stat(v.Source); v.Type == types.VolumeTypeBind && err != nil {
				t.Errorf("%s mounts what is not there: %v", name, err)
			}
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s is published beyond the loopback", name)
			}
		}
		if s.Build != nil {
			file, err := os.ReadFile(filepath.Join(s.Build.Context, s.Build.Dockerfile))
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if !strings.Contains(string(file), " AS "+s.Build.Target+"\n") {
				t.Errorf("%s builds %s, which the Dockerfile does not know", name, s.Build.Target)
			}
		}
	}
	worker := p.Services["worker"]
	if got := worker.DependsOn["setup"].Condition; got != types.ServiceConditionCompletedSuccessfully {
		t.Errorf("workers start before the streams are made: %q", got)
	}
	if worker.Deploy == nil || *worker.Deploy.Replicas != 2 {
		t.Error("there are not two workers")
	}
}

func TestTheComposeWorkersTakeTheirConfiguration(t *testing.T) {
	t.Parallel()
	p := project(t)
	worker := p.Services["worker"]
	cfg, err := app.Load("../compose/shortwire.yaml", func(name string) string {
		if v := worker.Environment[name]; v != nil {
			return *v
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	// Prometheus and the page are other machines to a worker.
	scrape, err := os.ReadFile("../compose/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	if token := string(cfg.Admin.ReadToken); token == "" || !strings.Contains(string(scrape), "credentials: "+token+"}") {
		t.Errorf("prometheus.yml does not show the workers' read token %q", token)
	}
	if len(cfg.Notices) > 0 {
		t.Errorf("notices: %q", cfg.Notices)
	}
	if grace := time.Duration(*worker.StopGracePeriod); grace < cfg.Worker.DrainTimeout+5*time.Second {
		t.Errorf("a container has %s, a drain takes up to %s", grace, cfg.Worker.DrainTimeout)
	}
	// Every host that the configuration names is a service.
	for _, host := range []string{cfg.NATS.URL, cfg.Redis.URL, cfg.Routes[0].Endpoints[0]} {
		name := regexp.MustCompile(`^(?:[a-z]+://)?([a-z]+):`).FindStringSubmatch(host)
		if _, known := p.Services[name[1]]; !known {
			t.Errorf("%s is no service", host)
		}
	}
	command := strings.Join(p.Services["smsc"].Command, " ")
	if want := "--system-id " + cfg.Routes[0].SystemID + " --password " + string(cfg.Routes[0].Password); !strings.Contains(command, want) {
		t.Errorf("the simulator does not know the account: %s", command)
	}
}
