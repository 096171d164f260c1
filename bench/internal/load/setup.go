package load

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Write writes the configuration into a directory and returns the file's path.
func (w Worker) Write(dir string) (string, error) {
	path := filepath.Join(dir, w.ID+".yaml")
	if err := os.WriteFile(path, w.YAML(), 0o600); err != nil {
		return "", fmt.Errorf("write configuration: %w", err)
	}
	return path, nil
}

// Setup has the worker's own program create the streams.
func Setup(ctx context.Context, shortwire, config string) error {
	cmd := exec.CommandContext(ctx, shortwire, "setup", "--config", config)
	cmd.Env = append(os.Environ(), Env()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("shortwire setup: %w\n%s", err, out)
	}
	return nil
}

// Env is what a worker needs in its environment.
func Env() []string { return []string{PasswordEnv + "=" + Password} }
