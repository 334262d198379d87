package archive

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"rootwatch/pipeline"
	"rootwatch/pipeline/coverage"
)

// summary is a coverage.Summary in the making.
type summary struct {
	mu sync.Mutex // guards all that follows: readers, the walk and the pipeline write to it
	coverage.Summary
	aliens, noFiles, mixed, problems, sought []placed
}

func inOrder(list []placed) (problems []coverage.Problem) {
	slices.SortStableFunc(list, func(a, b placed) int { return cmp.Compare(a.position, b.position) })
	for _, p := range list {
		problems = append(problems, p.Problem)
	}
	return problems
}

func (s *summary) problem(position int, p coverage.Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems = append(s.problems, placed{position, p})
}

func (s *summary) noFile(position int, p coverage.Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noFiles = append(s.noFiles, placed{position, p})
}

func (s *summary) skip(count *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*count++
}

// add takes a finished file into account.
func (s *summary) add(f *file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Files++
	units, others := f.events.Total(), f.events[pipeline.ResultNotCloudTrail]
	if others > f.aggregated && others == units {
		f.alien = alienJSON
	}
	if f.sought {
		s.sought = append(s.sought, f.note("", 0))
	}
	first := f.read.first // it names the cause, and the place
	if first == nil {
		first = f.decoded.first
	}
	if f.alien == "" || first != nil {
		s.Events.Add(f.events)
	}
	switch {
	case first != nil:
		s.problems = append(s.problems, f.note(first.Error(), f.read.count+f.decoded.count-1))
	case f.digest && units == 0:
		s.Digests++
	case f.alien == alienEmpty && f.path == coverage.Stdin: // what a search has found that found nothing
		s.aliens = append(s.aliens, f.note(nothing, 0))
	case f.alien == alienEmpty && f.named:
		s.problems = append(s.problems, f.note(nothing, 0))
	case f.alien != "" && f.named:
		s.problems = append(s.problems, f.note("not CloudTrail: "+f.alien, 0))
	case f.alien != "" && f.trail:
		s.problems = append(s.problems, f.note(f.alien+", where a log file of CloudTrail's is due", 0))
	case f.alien != "":
		s.aliens = append(s.aliens, f.note(f.alien, 0))
	case others > 0:
		s.mixed = append(s.mixed, f.note(mixture(others-f.aggregated, f.aggregated), 0))
	}
}

// mixture says what stands in a file that holds no calls: aggregated events (package envelope), and
// others.
func mixture(others, aggregated int) string {
	var parts []string
	switch others {
	case 0:
	case 1:
		parts = append(parts, "1 value in it is not CloudTrail's, and is not judged")
	default:
		parts = append(parts, fmt.Sprintf("%d values in it are not CloudTrail's, and are not judged", others))
	}
	switch aggregated {
	case 0:
	case 1:
		parts = append(parts, "1 aggregated event in it sums up data events: it is no call, and is not judged")
	default:
		parts = append(parts, fmt.Sprintf("%d aggregated events in it sum up data events: they are no calls, and are not judged", aggregated))
	}
	return strings.Join(parts, "; ")
}
