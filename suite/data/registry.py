"""The official data sets, one entry each. Lists, downloads, checks, augmentation and readers use these entries alone.

`docs/adding-a-dataset.md` says how to add one.
"""

from suite.data import readers
from suite.data.entry import DatasetEntry, OfficialArchive, OfficialFile

# The MD5 sums and addresses of CIFAR and SVHN are those of torchvision, which the tests compare. They are repeated here
# because importing torchvision takes longer than reading the data. The MD5 sums of ImageNet16 are from the loader that
# the authors of NAS-Bench-201 publish with the files (AutoDL-Projects, DownsampledImageNet.py).
ENTRIES = (
    DatasetEntry(
        name="digits",
        title="scikit-learn's digits",
        content="handwritten digits",
        train_images=1_497,
        test_images=300,
        classes=10,
        size=8,
        channels=1,
        flip=False,  # a mirrored digit is another one, or none
        train=(OfficialFile("sklearn/datasets/data/digits.csv.gz"),),
        test=(OfficialFile("sklearn/datasets/data/digits.csv.gz"),),
        # The file keeps the writers together, so the last images of a class are mostly by writers of whom the training
        # part has no images.
        reader=readers.digits(test_per_class=30),
        package="scikit-learn",
        remark="test: the last 30 images a class",
    ),
    DatasetEntry(
        name="cifar10",
        title="CIFAR-10",
        content="photographs",
        train_images=50_000,
        test_images=10_000,
        classes=10,
        size=32,
        channels=3,
        flip=True,
        train=(
            OfficialFile("cifar-10-batches-py/data_batch_1", "c99cafc152244af753f735de768cd75f"),
            OfficialFile("cifar-10-batches-py/data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
            OfficialFile("cifar-10-batches-py/data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
            OfficialFile("cifar-10-batches-py/data_batch_4", "634d18415352ddfa80567beed471001a"),
            OfficialFile("cifar-10-batches-py/data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
        ),
        test=(OfficialFile("cifar-10-batches-py/test_batch", "40351d587109b95175f43aff81a1287e"),),
        archive=OfficialArchive(
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"
        ),
        reader=readers.cifar("labels"),
    ),
    DatasetEntry(
        name="cifar100",
        title="CIFAR-100",
        content="photographs",
        train_images=50_000,
        test_images=10_000,
        classes=100,
        size=32,
        channels=3,
        flip=True,
        train=(OfficialFile("cifar-100-python/train", "16019d7e3df5f24257cddd939b257f8d"),),
        test=(OfficialFile("cifar-100-python/test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),),
        archive=OfficialArchive(
            "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"
        ),
        reader=readers.cifar("fine_labels"),
    ),
    DatasetEntry(
        name="svhn",
        title="SVHN",
        content="house-number digits",
        train_images=73_257,
        test_images=26_032,
        classes=10,
        size=32,
        channels=3,
        flip=False,  # a mirrored digit is another one, or none
        train=(
            OfficialFile(
                "train_32x32.mat",
                "e26dedcc434d2e4c54c9b2d4a06d8373",
                "http://ufldl.stanford.edu/housenumbers/train_32x32.mat",
            ),
        ),
        test=(
            OfficialFile(
                "test_32x32.mat",
                "eb5a983be6a315427106f1b164d9cef3",
                "http://ufldl.stanford.edu/housenumbers/test_32x32.mat",
            ),
        ),
        reader=readers.svhn(),
    ),
    DatasetEntry(
        name="imagenet16-120",
        title="ImageNet16-120",
        content="photographs of the first 120 ImageNet classes",
        train_images=151_700,
        test_images=6_000,
        classes=120,
        size=16,
        channels=3,
        flip=True,
        train=(
            OfficialFile("ImageNet16/train_data_batch_1", "27846dcaa50de8e21a7d1a35f30f0e91"),
            OfficialFile("ImageNet16/train_data_batch_2", "c7254a054e0e795c69120a5727050e3f"),
            OfficialFile("ImageNet16/train_data_batch_3", "4333d3df2e5ffb114b05d2ffc19b1e87"),
            OfficialFile("ImageNet16/train_data_batch_4", "1620cdf193304f4a92677b695d70d10f"),
            OfficialFile("ImageNet16/train_data_batch_5", "348b3c2fdbb3940c4e9e834affd3b18d"),
            OfficialFile("ImageNet16/train_data_batch_6", "6e765307c242a1b3d7d5ef9139b48945"),
            OfficialFile("ImageNet16/train_data_batch_7", "564926d8cbf8fc4818ba23d2faac7564"),
            OfficialFile("ImageNet16/train_data_batch_8", "f4755871f718ccb653440b9dd0ebac66"),
            OfficialFile("ImageNet16/train_data_batch_9", "bb6dd660c38c58552125b1a92f86b5d4"),
            OfficialFile("ImageNet16/train_data_batch_10", "8f03f34ac4b42271a294f91bf480f29b"),
        ),
        test=(OfficialFile("ImageNet16/val_data", "3410e3017fdaefba8d5073aaa65e4bd6"),),
        reader=readers.imagenet16(classes=120),
        by_hand=(
            "it has no open download address: unpack the NAS-Bench-201 authors' ImageNet16 archive there, "
            "so that ImageNet16/train_data_batch_1 to _10 and ImageNet16/val_data exist"
        ),
        remark="test: the whole validation set of the 120 classes",
    ),
)

DATASETS: dict[str, DatasetEntry] = {entry.name: entry for entry in ENTRIES}
"""Name of an official data set -> its entry, in the order in which they are listed."""
