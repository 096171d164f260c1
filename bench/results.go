package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed results.md.tmpl
var resultsText string

var resultsTemplate = template.Must(template.New("results").Parse(resultsText))

// section is a phase in RESULTS.md.
type section struct {
	Title, About string
	Table        string
	Drift        string // of the long run
	Plots        []image
}

// image is a plot in results/.
type image struct{ Title, File string }

// publish writes RESULTS.md at path, its plots and its JSON beside it.
func (r *report) publish(path string) error {
	if err := r.save(path); err != nil {
		return err
	}
	plots := r.plots()
	for _, p := range plots {
		if err := os.WriteFile(filepath.Join(resultsDir(path), p.file), p.svg, 0o644); err != nil {
			return fmt.Errorf("write plot: %w", err)
		}
	}
	text, err := r.markdown()
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	progress("%s, %s: %d plots and results.json", path, resultsDir(path), len(plots))
	return nil
}

// markdown is RESULTS.md.
func (r *report) markdown() ([]byte, error) {
	var sections []section
	plots := r.plots()
	for _, name := range phaseNames() {
		t := r.table(name)
		if t == nil {
			continue
		}
		s := section{Title: t.title, About: t.about, Table: t.markdown()}
		for _, p := range plots {
			if p.phase == name {
				s.Plots = append(s.Plots, image{p.title, p.file})
			}
		}
		if d := r.driftTable(); d != nil && name == longName {
			s.Drift = d.markdown()
		}
		sections = append(sections, s)
	}
	var b bytes.Buffer
	err := resultsTemplate.Execute(&b, map[string]any{
		"Report": r, "Goals": r.goalTable().markdown(), "Sections": sections, "Max": whole(r.Max), "Flood": whole(r.Flood), "Steal": whole(100 * r.Steal),
	})
	if err != nil {
		return nil, fmt.Errorf("write results: %w", err)
	}
	return b.Bytes(), nil
}
