package archive

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// walk gives the files in the order of the paths, and below a folder in the order of their names. What cannot be
// listed is a problem of the summary's; walk fails only with what visit returns.
func (s *Source) walk(ctx context.Context, visit func(*file) error) error {
	position := 0
	next := func(path string, named bool) error {
		position++
		return visit(newFile(path, position, named))
	}
	for _, path := range s.cfg.Paths {
		if path == Stdin {
			if err := next(path, true); err != nil {
				return err
			}
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			position++
			s.summary.problem(position, Problem{File: path, Reason: reason(err)})
			continue
		}
		if info.IsDir() {
			err = s.folder(ctx, path, func(file string) error { return next(file, false) }, func(folder string, err error) {
				position++
				s.summary.problem(position, Problem{File: folder, Reason: reason(err)})
			})
		} else {
			err = next(path, true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// folder gives the files below a folder, and tells of what cannot be listed.
func (s *Source) folder(ctx context.Context, root string, visit func(path string) error, unlisted func(path string, err error)) error {
	absolute, err := filepath.Abs(root)
	if err != nil {
		absolute = root // the layout above the folder is not known then, and nothing is skipped for it
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			unlisted(path, err)
			return nil
		}
		if d.IsDir() {
			below, err := filepath.Rel(root, path)
			if err != nil {
				return nil
			}
			p := placeOf(filepath.ToSlash(filepath.Join(absolute, below)))
			switch {
			case p.digest:
				s.summary.skip(&s.summary.DigestFolders)
				return fs.SkipDir
			case s.cfg.Selection.skips(p):
				s.summary.skip(&s.summary.FoldersSkipped)
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			info, err := os.Stat(path)
			if err != nil {
				unlisted(path, err)
				return nil
			}
			if !info.Mode().IsRegular() {
				return nil // a link to a folder might lead round in a circle; pipes and devices have no end
			}
		}
		return visit(path)
	})
}

// Total is how many files Run will read, and their bytes, as far as that can be known beforehand.
func (s *Source) Total(ctx context.Context) (files int, bytes int64, err error) {
	count := func(path string) error {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			files++
			bytes += info.Size()
		}
		return ctx.Err()
	}
	unlisted := func(string, error) {}
	counting := &Source{cfg: s.cfg} // what it skips is not counted twice
	for _, path := range s.cfg.Paths {
		if info, err := os.Stat(path); path != Stdin && err == nil && info.IsDir() {
			err = counting.folder(ctx, path, count, unlisted)
			if err != nil {
				return 0, 0, err
			}
			continue
		}
		if err := count(path); err != nil {
			return 0, 0, err
		}
	}
	return files, bytes, nil
}

// reason is what is wrong, without the path: that is told beside it.
func reason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Op + ": " + pathError.Err.Error()
	}
	return err.Error()
}
