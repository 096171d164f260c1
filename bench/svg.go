package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"math"
	"text/template"
)

//go:embed plot.svg.tmpl
var plotText string

var plotTemplate = template.Must(template.New("plot").Parse(plotText))

// bar is a row of a plot.
type bar struct {
	label     string
	segments  []float64 // by the plot's names
	low, high float64   // spread; 0, 0 for none
	text      string    // behind the bar
	color     int       // of a bar of one segment
}

// barPlot is a plot of horizontal bars.
type barPlot struct {
	title, unit string
	names       []string // of segments, for the legend; none for one
	log         bool     // decades; every bar has one segment
	bars        []bar
}

// Geometry of plots, in pixels.
const (
	plotWidth  = 800
	plotLeft   = 264
	plotRight  = 690
	plotTop    = 48
	barHeight  = 18
	barPitch   = 28
	legendHigh = 22
)

// shape is what the template draws.
type shape struct {
	Width, Height, Left, Right, Top, Bottom int
	Title, Unit                             string
	Legend                                  []legend
	Ticks                                   []tick
	Levels                                  []tick // of a vertical axis
	Bars                                    []drawnBar
	Lines                                   []drawnLine
}

type legend struct {
	X, Y, Color int
	Name        string
}

type tick struct {
	At    float64
	Label string
}

type drawnBar struct {
	Label, Text string
	Y, Middle   int
	TextX       float64
	Segments    []drawnSegment
	Spread      bool
	LowX, HighX float64
}

type drawnSegment struct {
	X, Width float64
	Color    int
}

type drawnLine struct {
	Color  int
	Points string
}

// svg draws the plot, readable on light and on dark.
func (p *barPlot) svg() []byte {
	top := plotTop
	if len(p.names) > 1 {
		top += legendHigh
	}
	s := shape{Width: plotWidth, Left: plotLeft, Right: plotRight, Top: top, Title: p.title, Unit: p.unit}
	s.Bottom = top + len(p.bars)*barPitch
	s.Height = s.Bottom + 44
	s.Legend = legends(p.names)
	at, ticks := p.axis()
	s.Ticks = ticks
	for i, b := range p.bars {
		d := drawnBar{Label: b.label, Text: b.text, Y: top + i*barPitch + (barPitch-barHeight)/2}
		d.Middle = d.Y + barHeight/2
		from, sum := float64(plotLeft), 0.0
		for k, v := range b.segments {
			sum += v
			color := k
			if len(b.segments) == 1 {
				color = b.color
			}
			until := at(sum)
			d.Segments = append(d.Segments, drawnSegment{X: round1(from), Width: round1(until - from), Color: color})
			from = until
		}
		d.TextX = round1(from + 6)
		if b.high > b.low {
			d.Spread, d.LowX, d.HighX = true, round1(at(b.low)), round1(at(b.high))
			d.TextX = round1(max(from, at(b.high)) + 6)
		}
		s.Bars = append(s.Bars, d)
	}
	return s.draw()
}

// axis is where a value stands, and the ticks.
func (p *barPlot) axis() (func(float64) float64, []tick) {
	most, least := 0.0, math.MaxFloat64
	for _, b := range p.bars {
		sum := 0.0
		for _, v := range b.segments {
			sum += v
		}
		most = max(most, sum, b.high)
		if sum > 0 {
			least = min(least, sum)
		}
	}
	if p.log && most > 0 {
		return logAxis(least, most, plotLeft, plotRight)
	}
	return linearAxis(most, plotLeft, plotRight)
}

// linearAxis goes from 0 to at least most.
func linearAxis(most, from, to float64) (func(float64) float64, []tick) {
	step := niceStep(most)
	end := max(step, math.Ceil(most/step-1e-9)*step)
	at := func(v float64) float64 { return from + (to-from)*v/end }
	var ticks []tick
	for v := 0.0; v <= end+step/2; v += step {
		ticks = append(ticks, tick{round1(at(v)), number(v)})
	}
	return at, ticks
}

// logAxis covers whole decades.
func logAxis(least, most, from, to float64) (func(float64) float64, []tick) {
	low, high := math.Floor(math.Log10(least)), math.Ceil(math.Log10(most)-1e-9)
	if least <= math.Pow(10, low)*1.001 { // a bar of no length is no bar
		low--
	}
	at := func(v float64) float64 {
		return from + (to-from)*max(0, math.Log10(max(v, 1e-12))-low)/(high-low)
	}
	var ticks []tick
	for d := low; d <= high; d++ {
		ticks = append(ticks, tick{round1(at(math.Pow(10, d))), number(math.Pow(10, d))})
	}
	return at, ticks
}

// niceStep divides an axis into four to ten steps of 1, 2 or 5 times a power of ten.
func niceStep(most float64) float64 {
	if most <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, f := range []float64{5, 2, 1} {
		if most/(f*power) >= 4 {
			return f * power
		}
	}
	return power
}

// number writes the value of a tick.
func number(v float64) string {
	if v >= 1000 {
		return whole(v)
	}
	return fmt.Sprintf("%.4g", v)
}

// series is a line of a linePlot.
type series struct {
	name   string
	values []float64
}

// linePlot is values over time.
type linePlot struct {
	file, title, xUnit string
	x                  []float64
	lines              []series
}

// add adds a value of each line.
func (p *linePlot) add(x float64, values ...float64) {
	p.x = append(p.x, x)
	for i, v := range values {
		p.lines[i].values = append(p.lines[i].values, v)
	}
}

const lineHeight = 220

// svg draws the plot.
func (p *linePlot) svg() []byte {
	top := plotTop + legendHigh
	s := shape{Width: plotWidth, Left: 70, Right: plotWidth - 30, Top: top, Bottom: top + lineHeight, Height: top + lineHeight + 44, Title: p.title, Unit: p.xUnit}
	most, end := 0.0, 0.0
	var names []string
	for _, l := range p.lines {
		names = append(names, l.name)
		for _, v := range l.values {
			most = max(most, v)
		}
	}
	for _, x := range p.x {
		end = max(end, x)
	}
	s.Legend = legends(names)
	x, ticks := linearAxis(end, float64(s.Left), float64(s.Right))
	y, levels := linearAxis(most, float64(s.Bottom), float64(s.Top))
	s.Ticks, s.Levels = ticks, levels
	for k, l := range p.lines {
		var b bytes.Buffer
		for i, v := range l.values {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(p.x[i]), y(v))
		}
		s.Lines = append(s.Lines, drawnLine{Color: k, Points: string(bytes.TrimSpace(b.Bytes()))})
	}
	return s.draw()
}

// legends are set in a row.
func legends(names []string) []legend {
	if len(names) < 2 {
		return nil
	}
	var out []legend
	x := 20
	for i, name := range names {
		out = append(out, legend{X: x, Y: plotTop - 8, Color: i, Name: name})
		x += 34 + 7*len([]rune(name))
	}
	return out
}

func (s *shape) draw() []byte {
	var b bytes.Buffer
	if err := plotTemplate.Execute(&b, s); err != nil {
		panic(err) // the template is part of the program
	}
	return b.Bytes()
}

func round1(x float64) float64 { return math.Round(x*10) / 10 }
