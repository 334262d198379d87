package archive

import (
	"context"
	"os"

	"rootwatch/pipeline/coverage"
)

// walk gives the files in the order of the paths, and below a folder in the order of [tree]. What
// cannot be listed is a problem of the summary's; walk fails only with what visit returns.
func (s *Source) walk(ctx context.Context, visit func(*file) error) error {
	position := 0
	next := func(path string, named, trail bool) error {
		position++
		f := newFile(path, position, named)
		f.trail = trail
		return visit(f)
	}
	problem := func(path string, err error) {
		position++
		s.summary.problem(position, coverage.Problem{File: path, Reason: reason(err)})
	}
	for _, path := range s.cfg.Paths {
		if path == coverage.Stdin {
			if err := next(path, true, false); err != nil {
				return err
			}
			continue
		}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			problem(path, err)
			continue
		case info.IsDir():
			below := tree{
				ctx: ctx, selection: &s.cfg.Selection,
				file:     func(file string, trail bool) error { return next(file, false, trail) },
				unlisted: problem,
				noFile: func(path, kind string) {
					position++
					s.summary.noFile(position, coverage.Problem{File: path, Reason: kind})
				},
				skipped: func(digests bool) {
					if digests {
						s.summary.skip(&s.summary.DigestFolders)
					} else {
						s.summary.skip(&s.summary.FoldersSkipped)
					}
				},
			}
			err = below.walk(path)
		default:
			err = next(path, true, false)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Total is how many files Run will read, and their bytes, as far as that can be known beforehand.
func (s *Source) Total(ctx context.Context) (files int, bytes int64, err error) {
	count := func(path string, _ bool) error {
		if info, err := os.Stat(path); err == nil {
			files++
			if info.Mode().IsRegular() {
				bytes += info.Size()
			}
		}
		return ctx.Err()
	}
	for _, path := range s.cfg.Paths {
		info, err := os.Stat(path)
		switch {
		case path == coverage.Stdin:
			files++ // of unknown length, as pipes are
			continue
		case err != nil:
			continue
		case info.IsDir():
			below := tree{ctx: ctx, selection: &s.cfg.Selection, file: count,
				unlisted: func(string, error) {}, noFile: func(string, string) {}, skipped: func(bool) {}}
			err = below.walk(path)
		default:
			err = count(path, false)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return files, bytes, nil
}
