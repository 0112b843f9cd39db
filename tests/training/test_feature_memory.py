"""The memory of instance features: samples by hand, the last ones kept, clusters, a resume."""

import torch

from gan_lightning.training.feature_memory import FeatureMemory, k_means


def test_a_sample_is_the_feature_of_the_middle_pixel_of_each_class():
    classes = torch.tensor([[[0, 2, 2], [2, 0, 0]]])
    features = torch.arange(6.0).view(1, 1, 2, 3)
    found = FeatureMemory(3, 1, 4).sample(classes, features)
    assert found.tolist() == [[[4, 1], [0, 0], [2, 1]]]  # of class 0: pixels 0, 4, 5; of class 2: 1, 2, 3


def test_the_last_features_are_kept():
    memory = FeatureMemory(2, 1, 3)
    for value in range(5):
        memory.add(torch.tensor([[[float(value), 1.0], [10.0, float(value == 0)]]]))
    assert sorted(memory.values[0].flatten().tolist()) == [2, 3, 4]
    assert memory.counts.tolist() == [5, 1]
    other = FeatureMemory(2, 1, 3)
    other.load_state_dict(memory.state_dict())
    assert torch.equal(other.values, memory.values)
    assert len(other) == 6


def test_clusters_are_found_and_counted():
    torch.manual_seed(0)
    memory = FeatureMemory(3, 2, 100)
    truth = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    for number in range(90):
        point = truth[number % 3] + 0.01 * torch.randn(2)
        memory.add(torch.cat([point, torch.ones(1)]).expand(1, 3, 3) * torch.tensor([1.0, 1.0, number < 2])[:, None])
    centres, found = torch.zeros(3, 3, 2), torch.ones(3, dtype=torch.int64)
    memory.cluster(centres, found)
    assert found.tolist() == [3, 3, 2]
    for centre in truth:
        assert (centres[0] - centre).norm(dim=1).min() < 0.02
    assert torch.equal(k_means(memory.values[0][:90], 3), k_means(memory.values[0][:90], 3))


def test_equal_points_are_one_cluster():
    assert k_means(torch.ones(7, 3), 4).tolist() == [[1, 1, 1]]
