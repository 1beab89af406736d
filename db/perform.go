package db

import (
	"fmt"

	"github.com/csdb/csdb/model"
)

// perform makes changes that another transaction has noted.
func (tx *Tx) perform(steps []Step) error {
	for i := range steps {
		if err := tx.performStep(&steps[i]); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

func (tx *Tx) performStep(step *Step) error {
	t := tx.root
	for _, name := range step.Bucket {
		inner, err := t.bucket(name)
		if err != nil {
			return err
		}
		if inner == nil {
			return tx.missing(t.child(name).name)
		}
		t = inner
	}
	switch step.Do {
	case StepPut:
		tx.space.write(len(step.Key) + len(step.Value))
		return t.put(step.Key, step.Value)
	case StepRemove:
		return t.remove(step.Key)
	case StepNumber:
		return t.setNumber(step.Number)
	case StepMakeBucket:
		_, err := t.makeBucket(string(step.Key))
		return err
	case StepRemoveBucket:
		return t.removeBucket(string(step.Key))
	}
	return fmt.Errorf("%w: unknown kind of step %d", model.ErrCorrupt, step.Do)
}
