"""How the statistics are computed, and how far to trust them: the notes below a report."""

METHOD_NOTES = (
    "Means, standard deviations (ddof = 1) and medians are over seeds. Intervals are 95 % intervals of a mean by "
    "Student's t (of a difference: paired t, or Welch's t where seeds do not pair) and assume roughly normal means; "
    "with few seeds they are wide for a reason. Those of percentages and fractions are taken on the scale of the "
    "mean's logit, so that none leaves 0 to 100 %. The bootstrap's BCa "
    "interval stands beside them: of normal values it covers 70 % at n = 3 and 80 % at n = 4 where 95 % are promised, "
    "so it is not the main one. No interval knows of a collapse that none of the seeds showed.",
    "The spread over seeds is search noise where accuracies come from a table, in which an architecture has one value, "
    "and search and retraining noise together where each search was retrained once: the two cannot be told apart then.",
    "Methods are paired by seed where their values share something by seed and they ran exactly the same seeds, and "
    "then tested by the two-sided sign-flip permutation test; otherwise all values of both enter an unpaired "
    "permutation test of the means. Trials of one seed share the split of the training images, the order and "
    "augmentation of batches, and initial weights where networks have one shape; whether pairing paid is measured, by "
    "the correlation over seeds and by the width of the interval. Both tests are exact up to 9,999 "
    "permutations and assume no distribution. A verdict rests on the test, never on whether an interval holds zero. "
    "The p-values of the t test and of Wilcoxon's test stand beside it, uncorrected.",
    "p-values are Holm-corrected within a family: the comparisons of one table, that is of one space, data set and "
    "protocol. A difference is called significant when the corrected p is at most 0.05. A12 (Vargha and Delaney) is "
    "how often a run of the first method is better than one of the second: 0.5 is no effect; Cliff's delta is "
    "2 A12 - 1. The probability of improvement is the share of seeds in which the first is better, or A12 where seeds "
    "do not pair.",
    "Equivalence is tested by two one-sided t tests (TOST) against the margin that is stated, Holm-corrected over the "
    "same family; beside it stands the smallest margin that the data would support, uncorrected. It knows no more than "
    "the intervals of a collapse that none of the seeds showed. What could have been shown is the true difference that "
    "is found with 80 % power by a t test at the strictest step of Holm's correction, at the spread seen, which few "
    "seeds know poorly: these figures are for planning.",
    "A best of k is set beside the best of k that the searches' own mean and standard deviation let expect (of normal "
    "values; of percentages and fractions, of a beta distribution, which ends where they end), and is never tested as "
    "if it were one search.",
)

RANKING_NOTES = (
    "Across blocks, that is spaces with data sets, a score says by how much a value is better than the mean of all "
    "methods' means in the block, in the values' unit, so that an easy data set counts no more than a hard one; a "
    "higher score is better, whichever way the values are. The interquartile "
    "mean (IQM) is the mean of the middle half of all of a method's scores; its 95 % interval is the stratified "
    "bootstrap's by percentiles, resampling seeds within each block: of normal scores it covers 94 % and more, of a "
    "method that collapses in three searches of ten some 70 % at n = 3. A performance profile shows, for each score, "
    "the share of a method's searches that score at least so much.",
    "Ranks are of the means in each block, 1 the best. Friedman's test permutes them within blocks, exactly up to "
    "9,999 arrangements; Nemenyi's test corrects for all pairs of methods and is asymptotic in the number of blocks. "
    "The probability of improvement across blocks is the mean of A12 over blocks, with the stratified bootstrap's "
    "interval; neither it nor the IQM is corrected for the number of methods.",
)
