package classify

import (
	"flag"
	"math/bits"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

var enumerateAll = flag.Bool("enumerate-all", false, "walk every set of marks, not only none, single ones and all")

// TestEveryCombinationOfFacts walks over all that facts can be and holds the rules to what they
// promise. A rule sees nothing but facts, so what holds here holds for every record that can be
// read; TestFactsAreReadFromEverySpelling joins the two.
func TestEveryCombinationOfFacts(t *testing.T) {
	began := time.Now()
	workers := runtime.GOMAXPROCS(0)
	results := make([]walkResult, workers)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() { results[w] = walk(w, workers, markSets(*enumerateAll)) })
	}
	group.Wait()
	combinations := 0
	reached := make(map[Reason]map[Severity]bool)
	for _, r := range results {
		combinations += r.combinations
		for _, f := range r.broken {
			t.Errorf("%s\n%+v", f.promise, f.facts)
		}
		for reason, grades := range r.reached {
			for grade := range grades {
				if reached[reason] == nil {
					reached[reason] = make(map[Severity]bool)
				}
				reached[reason][grade] = true
			}
		}
	}
	for _, r := range Reasons() {
		for _, grade := range r.Severities {
			if !reached[r.Reason][grade] {
				t.Errorf("no combination gets %s %s, which its row promises", r.Reason, grade)
			}
		}
	}
	t.Logf("%d combinations in %.1f s", combinations, time.Since(began).Seconds())
}

// A fact that is added must be walked over too: walk, credentials and chosen set each of these.
func TestTheWalkKnowsEveryFact(t *testing.T) {
	walked := []string{"exactRoot", "emptyARN", "event", "called", "invokedBy", "known", "address", "key", "session", "bearer", "marks", "agent", "failed"}
	var names []string
	for i := range reflect.TypeFor[facts]().NumField() {
		names = append(names, reflect.TypeFor[facts]().Field(i).Name)
	}
	if !slices.Equal(names, walked) {
		t.Errorf("facts are %v, walked are %v", names, walked)
	}
	if all := markSet(1)<<len(clientMarks) - 1; all != allMarks || readable() != allMarks {
		t.Errorf("the walk sets the marks %b, the table has %b", allMarks, readable())
	}
}

// readable are the marks that the table of marks can give.
func readable() (set markSet) {
	for i := range clientMarks {
		set |= clientMarks[i].bit
	}
	return set
}

type walkResult struct {
	combinations int
	reached      map[Reason]map[Severity]bool
	broken       []brokenPromise // the first ones
}

type brokenPromise struct {
	promise string
	facts   facts
}

// markSets are the sets of marks that a record can have: the flag of the console is understood or
// it is not.
func markSets(all bool) (sets []markSet) {
	for set := markSet(0); set <= allMarks; set++ {
		if set&markConsole != 0 && set&markConsoleOdd != 0 {
			continue
		}
		if n := bits.OnesCount16(uint16(set)); all || n <= 1 || n >= 8 {
			sets = append(sets, set)
		}
	}
	return sets
}

// inSession are the marks that stand in a session.
const inSession = markAssumedRoot | markConsoleSession

// callers are invokedBy and what it says about a known service.
var callers = []struct {
	kind  callerKind
	known bool
}{{noCaller, false}, {otherCaller, false}, {internalCaller, false}, {consoleCaller, false}, {agentCaller, false}, {serviceCaller, false}, {serviceCaller, true}}

// walk visits every combination whose caller and address fall to this worker.
func walk(worker, workers int, sets []markSet) walkResult {
	out := walkResult{reached: make(map[Reason]map[Severity]bool)}
	for _, r := range rules {
		out.reached[r.reason] = make(map[Severity]bool)
	}
	turn := 0
	for _, by := range callers {
		for address := noCaller; address <= serviceCaller; address++ {
			if turn++; turn%workers != worker {
				continue
			}
			f := facts{invokedBy: by.kind, known: by.known, address: address}
			for _, f.exactRoot = range both {
				for _, f.emptyARN = range both {
					for f.event = apiCall; f.event <= otherEvent; f.event++ {
						for f.called = calledService; f.called <= calledOdd; f.called++ {
							out.credentials(f, sets)
						}
					}
				}
			}
		}
	}
	return out
}

var both = []bool{false, true}

func (w *walkResult) credentials(f facts, sets []markSet) {
	for f.key = noKey; f.key <= otherKey; f.key++ {
		for _, f.session = range both {
			for _, f.bearer = range both {
				for _, f.marks = range sets {
					if f.session || !f.has(inSession) {
						w.chosen(f)
					}
				}
			}
		}
	}
}

// chosen visits all that the client chooses: it must not change the verdict.
func (w *walkResult) chosen(f facts) {
	verdict := firstRule(f).verdict
	for f.agent = otherAgent; f.agent <= consoleAgent; f.agent++ {
		for _, f.failed = range both {
			w.combinations++
			r := firstRule(f)
			if r.verdict != verdict {
				w.breaks("the user agent or the outcome changes the verdict", f)
			}
			w.check(f, r)
		}
	}
	if verdict == ServiceInvoked {
		w.addings(f)
	}
}

// addings adds each thing that only somebody's call has to a service's own call.
func (w *walkResult) addings(f facts) {
	added := []facts{}
	for bit := markSet(1); bit < allMarks; bit <<= 1 {
		g := f
		g.marks |= bit
		added = append(added, g)
	}
	for key := temporaryKey; key <= otherKey; key++ {
		g := f
		g.key = key
		added = append(added, g)
	}
	session, bearer := f, f
	session.session, bearer.bearer = true, true
	for _, g := range append(added, session, bearer) {
		if firstRule(g).verdict != Unexplained {
			w.breaks("a key, a session, a bearer token or a mark more, and still a service's", g)
		}
	}
}

func (w *walkResult) check(f facts, r *rule) {
	reason, start := specified(f)
	if r.reason != reason {
		w.breaks("the reason is "+string(r.reason)+", and "+string(reason)+" by the specification", f)
	}
	for i := range rules {
		if &rules[i] == r {
			break
		}
		if rules[i].when(f) {
			w.breaks("an earlier row fits: "+string(rules[i].reason), f)
		}
	}
	service := r.verdict == ServiceInvoked
	if service && (f.key != noKey || f.session || f.bearer || f.marks != 0) {
		w.breaks("service_invoked with a mark of a credential", f)
	}
	for _, does := range []Severity{"", High, Critical} {
		got, want := r.severityOf(f, does), start
		if f.key == longLivedKey {
			want = Critical
		}
		if !service {
			want = worse(want, does)
		}
		if got != want {
			w.breaks("the grade is "+string(got)+", and "+string(want)+" by the specification", f)
		}
		if f.key == longLivedKey && got != Critical {
			w.breaks("a long-lived key is not critical", f)
		}
		if !slices.Contains(r.grades, got) {
			w.breaks("the row does not list the grade "+string(got), f)
		}
		w.reached[r.reason][got] = true
	}
}

func (w *walkResult) breaks(promise string, f facts) {
	if len(w.broken) < 3 {
		w.broken = append(w.broken, brokenPromise{promise, f})
	}
}

// specified is the specification a second time, as one function, in the order in which reasons are
// tried: the reason, and the grade to start from.
func specified(f facts) (Reason, Severity) {
	credential := f.key != noKey || f.session || f.bearer
	service := f.invokedBy == serviceCaller
	signIn := f.called == calledSignIn
	switch {
	case f.exactRoot && f.event == apiCall && f.called == calledService && service && f.address == serviceCaller && !credential && f.marks == 0:
		if f.known {
			return KnownService, None
		}
		return OtherService, Info
	case f.exactRoot && f.emptyARN:
		if credential {
			return NoRootARN, High
		}
		return NoRootARN, Low
	case f.event == consoleSignIn, signIn && !credential:
		if f.failed && !credential {
			return SignIn, Medium
		}
		return SignIn, High
	case f.marks&markAssumedRoot != 0:
		return AssumedRoot, Medium
	case f.key == longLivedKey:
		return AccessKey, Critical
	case f.key == otherKey && !f.session && !service && f.invokedBy != agentCaller && f.invokedBy != consoleCaller:
		return AccessKey, Critical
	case f.invokedBy == agentCaller, service && credential:
		return Forwarded, High
	case f.marks&markConsole != 0, f.marks&markConsoleSession != 0, f.event == consoleAction, f.invokedBy == consoleCaller, f.agent == consoleAgent:
		return ConsoleSession, High
	case f.agent == browserAgent && credential:
		return ConsoleSession, High
	case credential:
		return CLISession, High
	case f.invokedBy == internalCaller, f.address == internalCaller:
		return AWSInternal, High
	}
	return Unattributed, High
}
