package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// report is the whole answer.
type report struct {
	Scenarios scores  `json:"scenarios"`
	Corpus    *scores `json:"corpus,omitempty"` // on real records, where there are any
}

func (r report) writeJSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

func (r report) writeTables(out io.Writer) error {
	text := r.Scenarios.table()
	if r.Corpus != nil {
		text += "\n" + r.Corpus.corpusTable()
	}
	_, err := io.WriteString(out, text)
	return err
}

// table is the Markdown table of the scenarios, padded so that a terminal shows it too.
func (s scores) table() string {
	rows := [][]string{{
		"rule", "version or date", fmt.Sprintf("people missed, of %d", s.Totals.People), fmt.Sprintf("services alerted on, of %d", s.Totals.Services),
		fmt.Sprintf("scenarios missed wholly, of %d", s.Totals.ScenariosByPeople), "scenarios a forged user agent switches off",
	}}
	for _, r := range s.Rules {
		rows = append(rows, []string{r.Name, r.Version, strconv.Itoa(len(r.PeopleMissed)), strconv.Itoa(len(r.ServicesAlerted)),
			strconv.Itoa(len(r.ScenariosMissed)), strconv.Itoa(len(r.SwitchedOff))})
	}
	return markdown(rows, 2)
}

// corpusTable has no scenarios: nothing says which real records belong together.
func (s scores) corpusTable() string {
	rows := [][]string{{
		"rule, on real records", fmt.Sprintf("people missed, of %d", s.Totals.People), "with a forged user agent",
		fmt.Sprintf("services alerted on, of %d", s.Totals.Services),
	}}
	for _, r := range s.Rules {
		rows = append(rows, []string{r.Name, strconv.Itoa(len(r.PeopleMissed)), strconv.Itoa(r.MissedWhenForged), strconv.Itoa(len(r.ServicesAlerted))})
	}
	return markdown(rows, 1)
}

// markdown is a table whose first row is its head; the columns after the first `words` ones hold
// numbers.
func markdown(rows [][]string, words int) string {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	line := make([]string, len(width))
	for i, w := range width {
		line[i] = strings.Repeat("-", w)
		if i >= words {
			line[i] = strings.Repeat("-", w-1) + ":"
		}
	}
	var out strings.Builder
	for i, row := range append([][]string{rows[0], line}, rows[1:]...) {
		for column, cell := range row {
			pad := strings.Repeat(" ", width[column]-utf8.RuneCountInString(cell))
			if column >= words && i > 0 {
				out.WriteString("| " + pad + cell + " ")
			} else {
				out.WriteString("| " + cell + pad + " ")
			}
		}
		out.WriteString("|\n")
	}
	return out.String()
}
