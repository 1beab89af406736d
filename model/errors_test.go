package model_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/csdb/csdb/model"
)

var classes = []error{
	model.ErrNotFound, model.ErrExists, model.ErrInUse, model.ErrInvalid, model.ErrReadOnly,
	model.ErrBusy, model.ErrCorrupt, model.ErrUnsupported, model.ErrNoSpace,
}

func TestSituationsMatchTheirClassAndNoOther(t *testing.T) {
	for class, situations := range map[error][]error{
		model.ErrNotFound: {
			model.ErrLayerUnknown, model.ErrImageUnknown, model.ErrContainerUnknown, model.ErrNotALayer, model.ErrNotAnImage,
			model.ErrNotAContainer, model.ErrNotAnID, model.ErrDataUnknown, model.ErrSizeUnknown, model.ErrDigestUnknown,
			model.ErrLeaseUnknown,
		},
		model.ErrExists: {model.ErrDuplicateID, model.ErrDuplicateName, model.ErrLeaseExists},
		model.ErrInUse: {
			model.ErrLayerHasChildren, model.ErrLayerUsedByImage, model.ErrLayerUsedByContainer, model.ErrImageUsedByContainer,
			model.ErrLayerMounted, model.ErrLeased,
		},
		model.ErrInvalid: {
			model.ErrLayerNotMounted, model.ErrParentIsContainer, model.ErrDataKeyInvalid, model.ErrInvalidMappings,
			model.ErrIncompleteOptions, model.ErrNested, model.ErrClosed,
		},
		model.ErrReadOnly:    {model.ErrStoreIsReadOnly},
		model.ErrUnsupported: {model.ErrDriverNotSupported, model.ErrDriverPrerequisites, model.ErrIncompatibleFS},
		model.ErrBusy:        {model.ErrStagedOnOtherParent},
		model.ErrCorrupt:     {model.ErrLayerContentIncorrect, model.ErrDamaged},
	} {
		for _, situation := range situations {
			wrapped := fmt.Errorf("operation: %w", situation)
			for _, other := range classes {
				if errors.Is(wrapped, other) != errors.Is(other, class) {
					t.Errorf("%q matches %q: %v", situation, other, errors.Is(wrapped, other))
				}
			}
			for _, other := range situations {
				if errors.Is(wrapped, other) != (situation.Error() == other.Error()) {
					t.Errorf("%q matches %q", situation, other)
				}
			}
		}
	}
}

func TestOnObjectNamesTheObjectOnce(t *testing.T) {
	if err := model.OnObject(model.KindLayer, "x", nil); err != nil {
		t.Errorf("no error became %v", err)
	}
	err := model.OnObject(model.KindLayer, model.LayerID("x"), model.ErrDuplicateID)
	if err.Error() != `layer "x": that ID is already in use` {
		t.Errorf("message: %v", err)
	}
	if !errors.Is(err, model.ErrExists) {
		t.Errorf("wrong class: %v", err)
	}
	wrapped := fmt.Errorf("create: %w", err)
	if again := model.OnObject(model.KindLayer, model.LayerID("x"), wrapped); again.Error() != wrapped.Error() {
		t.Errorf("named twice: %v", again)
	}
	other := model.OnObject(model.KindImage, "x", err)
	if other.Error() != `image "x": layer "x": that ID is already in use` {
		t.Errorf("another object is not named: %v", other)
	}
	object, ok := errors.AsType[*model.ObjectError](other)
	if !ok || object.Kind != model.KindImage || object.ID != "x" {
		t.Errorf("found %+v", object)
	}
}

func TestUnknownSaysWhatIsUnknown(t *testing.T) {
	for kind, want := range map[model.Kind]error{
		model.KindLayer:     model.ErrLayerUnknown,
		model.KindImage:     model.ErrImageUnknown,
		model.KindContainer: model.ErrContainerUnknown,
		"":                  model.ErrNotAnID,
	} {
		err := model.Unknown(kind, "some")
		object, ok := errors.AsType[*model.ObjectError](err)
		if !errors.Is(err, want) || !errors.Is(err, model.ErrNotFound) || !ok || object.ID != "some" {
			t.Errorf("%q: %v", kind, err)
		}
	}
}
